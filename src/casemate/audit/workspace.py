"""The files under what is audited: found once, read once, never followed out of it.

Symbolic links are not followed, what is installed or built by programs is passed over, and every
bound is told. Nothing here runs or imports what it reads.
"""

from __future__ import annotations

import os
import stat
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from casemate.audit.limits import (
    MAX_CODE_BYTES,
    MAX_DEPTH,
    MAX_FILES,
    MAX_TEMPLATE_BYTES,
    MAX_TOTAL_BYTES,
    MAX_UNRESOLVED,
)
from casemate.audit.model import Place
from casemate.audit.notes import Notes

PASSED_OVER = frozenset(
    (
        *(".git", ".hg", ".svn", "node_modules", "bower_components", ".venv", "venv", "env"),
        *("__pycache__", ".aws-sam", ".serverless", ".terraform", ".tox", ".nox", ".mypy_cache"),
        *("site-packages", "dist-packages", ".pytest_cache", ".ruff_cache", ".gradle", ".idea"),
        *(".casemate", ".next", ".nuxt", ".yarn", ".pnpm-store", ".eggs", "coverage"),
    )
)
"""Folders of what others wrote or programs made."""

_T = TypeVar("_T")


class Workspace:
    """A folder, or the folder of one file, that is audited."""

    def __init__(self, path: Path, texts: Mapping[str, str] | None = None) -> None:
        """Look at `path`, a folder or a file; nothing is read yet. `texts` stand for a folder."""
        self.single = path.name if texts is None and not path.is_dir() else None
        self.root = path if self.single is None else path.parent
        self.notes = Notes(MAX_UNRESOLVED)
        self._texts: dict[str, str | None] = dict(texts or {})
        self._sizes = {name: len(text) for name, text in (texts or {}).items()}
        self._translated = set[str]()
        self._left = MAX_TOTAL_BYTES
        self._once: dict[str, Any] = {}
        if texts is None:
            self._find()
        self.files = tuple(sorted(self._sizes))

    @classmethod
    def of(cls, texts: Mapping[str, str]) -> Workspace:
        """Return one of texts that are in memory, for the examples of rules."""
        return cls(Path("/nonexistent"), texts)

    def once(self, name: str, make: Callable[[], _T]) -> _T:
        """Return what is made of the files, the first time alone: each of them is asked for it."""
        if name not in self._once:
            self._once[name] = make()
        found: _T = self._once[name]
        return found

    def note(self, file: str, what: str, line: int = 1, column: int = 1) -> None:
        """Remember what could not be audited."""
        self.notes.say(Place(file, line, column), what)

    def _find(self) -> None:
        waiting = [("", 0)]
        while waiting:
            folder, depth = waiting.pop()
            try:
                with os.scandir(self.root / folder if folder else self.root) as found:
                    entries = sorted(found, key=lambda entry: entry.name)
            except OSError as error:
                self.note(folder or ".", f"the folder cannot be read: {error.strerror}")
                continue
            for entry in entries:
                if not self._take(entry, folder, depth, waiting):
                    return

    def _take(
        self, entry: os.DirEntry[str], folder: str, depth: int, waiting: list[tuple[str, int]]
    ) -> bool:
        """Keep one entry of a folder. Returns False where the bound of files is reached."""
        name = f"{folder}/{entry.name}" if folder else entry.name
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            return True
        if stat.S_ISDIR(status.st_mode):
            if entry.name not in PASSED_OVER:
                if depth >= MAX_DEPTH:
                    self.note(name, f"it is more than {MAX_DEPTH} folders deep: not audited")
                else:
                    waiting.append((name, depth + 1))
        elif stat.S_ISREG(status.st_mode):
            if len(self._sizes) >= MAX_FILES:
                self.note(name, f"there are more than {MAX_FILES} files: the rest is not audited")
                return False
            self._sizes[name] = status.st_size
        return True

    def has(self, name: str) -> bool:
        """Tell whether there is such a file."""
        return name in self._sizes

    def size(self, name: str) -> int:
        """Return a file's size in bytes."""
        return self._sizes.get(name, 0)

    def under(self, folder: str) -> Iterator[str]:
        """Yield the files in a folder and below."""
        if folder in ("", "."):
            yield from self.files
            return
        first = bisect_left(self.files, f"{folder}/")
        yield from self.files[first : bisect_left(self.files, f"{folder}0", first)]  # behind `/`

    def resolve(self, base: str, name: str) -> str | None:
        """Return what a relative path means beside the file `base`; None if it leads outside."""
        parts: list[str] = list(PurePosixPath(base).parent.parts)
        if name.startswith("/"):
            return None
        for part in PurePosixPath(name.replace("\\", "/")).parts:
            if part == "..":
                if not parts:
                    return None
                parts.pop()
            elif part != ".":
                parts.append(part)
        return "/".join(parts) or "."

    def text(self, name: str, *, most: int = MAX_CODE_BYTES) -> str | None:
        """Return a file's text, or None if it has none: the reason is noted once."""
        if name in self._texts:
            return self._texts[name]
        self._texts[name] = found = self._read(name, most)
        return found

    def template(self, name: str) -> str | None:
        """Return the text of a template, which may be long."""
        return self.text(name, most=MAX_TEMPLATE_BYTES)

    def is_exact(self, name: str) -> bool:
        """Tell whether a file that was read is its text in UTF-8, byte for byte."""
        return name not in self._translated

    def _read(self, name: str, most: int) -> str | None:
        if name not in self._sizes:
            return None
        if self._sizes[name] > most:
            self.note(name, f"it has more than {most} bytes: not audited")
            return None
        try:
            # A file that became a link meanwhile is not followed either.
            handle = os.open(self.root / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as file:
                data = file.read(most + 1)
        except OSError as error:
            self.note(name, f"it cannot be read: {error.strerror}")
            return None
        self._left -= len(data)
        if len(data) > most or self._left < 0:
            self.note(name, "the limit for reading was reached: not audited")
            return None
        text = self._decoded(name, data)
        if text is not None and text.encode() != data:
            self._translated.add(name)
        return text

    def _decoded(self, name: str, data: bytes) -> str | None:
        for start, encoding in (
            (b"\xff\xfe\0\0", "utf-32"),
            (b"\0\0\xfe\xff", "utf-32"),
            (b"\xff\xfe", "utf-16"),
            (b"\xfe\xff", "utf-16"),
            (b"", "utf-8-sig"),
        ):
            if data.startswith(start):
                try:
                    text = data.decode(encoding)
                except UnicodeDecodeError:
                    if start:
                        self.note(name, f"it is not the {encoding.upper()} that its beginning says")
                        return None
                    break
                return text.replace("\r\n", "\n")
        if b"\0" in data[:4096]:
            return None  # not a text
        self.note(name, "it is not UTF-8: read as Latin-1")
        return data.decode("latin-1").replace("\r\n", "\n")
