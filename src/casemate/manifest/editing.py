"""Changes the grants of a function in a manifest, and not a byte of anything else.

It works on whole lines between table headers, as `locator` finds them, and trusts nothing of
that: the result is parsed and must be what was there but for the grants, and must load.
"""

from __future__ import annotations

import copy
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from casemate.kernel.drafts import draft_file
from casemate.manifest.loading import load
from casemate.manifest.locator import KeyLocator, KeyPath
from casemate.manifest.problem import ManifestError
from casemate.manifest.reading import MAX_BYTES
from casemate.manifest.rendering import grants_table, grants_text
from casemate.model.errors import ConflictError, InvalidInputError
from casemate.model.grant import Grant


class EditError(InvalidInputError):
    """The manifest cannot be changed by a program."""


class ManifestChangedError(ConflictError):
    """The manifest was changed meanwhile."""


class ManifestEditor:
    """One manifest as it was read; what is written replaces exactly that."""

    def __init__(self, path: Path) -> None:
        """Read the manifest, which must load. Raises ManifestError or EditError."""
        try:
            self._path = path.resolve(strict=True)
            self._data = self._read()
        except (OSError, RuntimeError) as error:
            raise EditError(f"{path} cannot be read.", next_step="Look at the file.") from error
        self.project = load(self._path)
        """What the manifest says."""

    def write(self, grants: Mapping[str, tuple[Grant, ...]]) -> None:
        """Replace the grants of functions by name, all of them or none.

        Raises EditError if they are not in tables of their own or the result would not be a valid
        manifest, ManifestChangedError if the file is not any more what was read.
        """
        data = self._data
        for function, wanted in grants.items():
            data = with_grants(data, function, wanted)
        try:
            with draft_file(self._path.parent, f".{self._path.name}.", "") as (draft, descriptor):
                with os.fdopen(descriptor, "wb", closefd=False) as file:
                    file.write(data)
                os.fchmod(descriptor, self._path.stat().st_mode & 0o777)
                os.fsync(descriptor)
                self._check(draft, grants)
                if self._read() != self._data:
                    raise ManifestChangedError(
                        f"{self._path} was changed meanwhile; nothing was written.",
                        next_step="Run the command again.",
                    )
                draft.replace(self._path)
        except OSError as error:
            raise EditError(
                f"{self._path} cannot be written: {error.strerror}.",
                next_step="Check its permissions and the free space.",
            ) from error
        self._data = data

    def _read(self) -> bytes:
        with self._path.open("rb") as file:
            return file.read(MAX_BYTES + 1)

    def _check(self, temporary: Path, grants: Mapping[str, tuple[Grant, ...]]) -> None:
        try:
            project = load(temporary)
        except ManifestError as error:
            told = "; ".join(f"{p.key}: found {p.found}" for p in error.problems[:5])
            raise EditError(
                f"The manifest would not be valid with these grants: {told}. Nothing was written.",
                next_step="Correct the manifest by hand.",
            ) from error
        for name, wanted in grants.items():
            found = project.function(name)
            if found is None or found.grants != wanted:
                raise EditError(f"The grants of {name} would not be what was asked for.")


def with_grants(data: bytes, function: str, grants: tuple[Grant, ...]) -> bytes:
    """Return the text of a manifest with other grants of one function. Raises EditError."""
    refused = EditError(
        f"The grants of {function} are not written as tables under [function.{function}.grants], "
        "so they are not changed.",
        next_step="Put this in their place:\n" + grants_text(function, grants),
    )
    try:
        text = data.decode()
        before = tomllib.loads(text.replace("\r\n", "\n"))
        expected = copy.deepcopy(before)
        expected["function"][function]["grants"] = grants_table(grants)
        edited = _edited(text, function, grants_text(function, grants))
        if tomllib.loads(edited.replace("\r\n", "\n")) != expected:
            raise refused
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise refused from error
    return edited.encode()


def _edited(text: str, function: str, block: str) -> str:
    lines = _lines(text)
    ending = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    written = [f"{line}{ending}" for line in block[:-1].split("\n")]
    headers = KeyLocator(text.replace("\r\n", "\n")).headers
    starts = [*(header.line - 1 for header in headers), len(lines)]
    sections = [
        (header.path, start, _trimmed(lines, start, end))
        for header, start, end in zip(headers, starts, starts[1:], strict=False)
    ]
    path: KeyPath = ("function", function, "grants")
    own = [section for section in sections if section[0][:3] == path]
    if own:
        for _, start, end in reversed(own[1:]):
            del lines[start:end]
        _, start, end = own[0]
        lines[start:end] = written
        return "".join(lines)
    place = max((end for where, _, end in sections if where[:2] == path[:2]), default=len(lines))
    if place and not lines[place - 1].endswith("\n"):
        lines[place - 1] += ending
    after = [ending] if place < len(lines) and lines[place].strip() else []
    lines[place:place] = [ending, *written, *after]
    return "".join(lines)


def _lines(text: str) -> list[str]:
    """Split at line feeds alone, as TOML does, and keep them."""
    parts = text.split("\n")
    return [f"{part}\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _trimmed(lines: list[str], start: int, end: int) -> int:
    """Return the end of a section without the blank lines and comments before the next one."""
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip()[0] == "#"):
        end -= 1
    return end
