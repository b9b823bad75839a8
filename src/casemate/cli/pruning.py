"""A requirements file without some of its lines, and how it gets into a project."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
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
        self._write(root, {})

    def take_from(self, copy: Path, root: Path) -> None:
        """Write the file, and the locks that a copy of the project has of it, to the project."""
        locks = sorted(copy.glob(f"{self.name}.cp*.lock"))
        self._write(root, {lock.relative_to(copy): lock.read_text("utf-8") for lock in locks})

    def _write(self, root: Path, locks: Mapping[Path, str]) -> None:
        from casemate.build.writing import write_together

        texts = {root / name: text for name, text in locks.items()}
        write_together({**texts, root / self.name: self.after}, like=root / self.name)
