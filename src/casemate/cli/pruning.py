"""A requirements file without some of its lines, and how it gets into a project."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from casemate.cli.errors import CommandError

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


@dataclass(frozen=True)
class Pruning:
    """A requirements file without some lines."""

    name: str
    """The file's, within the project."""
    after: str
    removed: tuple[str, ...]
    """Names of the packages whose lines are gone."""

    @classmethod
    def of(cls, root: Path, name: str, unused: Collection[str]) -> Pruning:
        """Return the file `name` of a project without requirements that are unused.

        Nothing is written yet. CommandError for a file that has to be changed by other means.
        """
        before = (root / name).read_text(encoding="utf-8")
        if not name.endswith(".txt") or "--hash" in before:
            if unused:
                raise CommandError(
                    f"{name} is not a plain list of requirements, so it is not changed here. "
                    f"Nothing needs: {', '.join(sorted(unused))}.",
                    next_step="Remove them there (uv remove NAME), and lock again.",
                )
            return cls(name, before, ())
        kept, removed, continued, dropping = [], [], False, False
        for line in before.splitlines(keepends=True):
            if not continued:
                match = _NAME.match(line)
                named = re.sub(r"[-_.]+", "-", match.group(1)).lower() if match else ""
                dropping = named in unused
                if dropping:
                    removed.append(named)
            if not dropping:
                kept.append(line)
            continued = line.rstrip("\r\n").endswith("\\")
        return cls(name, "".join(kept), tuple(sorted(set(removed))))

    def write_to(self, root: Path) -> None:
        """Write the file to a project, or to a copy of it."""
        _replace(root / self.name, self.after.encode())

    def take_from(self, copy: Path, root: Path) -> None:
        """Write the file, and the locks that a copy of the project has of it, to the project."""
        for lock in sorted(copy.glob(f"{self.name}.cp*.lock")):
            _replace(root / lock.relative_to(copy), lock.read_bytes())
        self.write_to(root)


def _replace(path: Path, content: bytes) -> None:
    """Write a file as a whole: it is as it was or as it is to be, whenever this ends."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        if path.exists():
            shutil.copymode(path, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
