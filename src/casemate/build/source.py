"""Copies the code of a function into a bundle, leaving out what does not belong there."""

from __future__ import annotations

import hashlib
import itertools
import os
import stat
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from casemate.build.errors import SourceTreeError
from casemate.build.ignore import Ignore, read_ignore
from casemate.build.limits import (
    COPY_TIMEOUT,
    MAX_BUNDLE_BYTES,
    MAX_SOURCE_FILES,
    MAX_SOURCE_FOLDERS,
)
from casemate.build.tree import (
    check_collisions,
    check_path,
    check_totals,
    kind_of,
    open_regular,
)
from casemate.model.bundle import BundleFile

_CHUNK = 1 << 20


def copy_source(
    root: Path, target: Path, *, boundary: Path, without: Collection[Path] = ()
) -> tuple[BundleFile, ...]:
    """Copy the tree `root` to `target` and return its files, sorted, paths relative to `root`.

    Links are replaced by what they point to, which must be inside `boundary` (the project).
    `without` names folders that stay out. Raises SourceTreeError.
    """
    boundary = boundary.resolve()
    real_root = root.resolve()
    if not real_root.is_dir() or not real_root.is_relative_to(boundary):
        raise SourceTreeError(
            f"The source {root.name!r} is not a folder inside the project.",
            next_step="Correct `source` of the function.",
        )
    walk = _Walk(
        ignore=read_ignore(real_root),
        boundary=boundary,
        left_out=frozenset(path.resolve() for path in without),
    )
    files: list[BundleFile] = []
    total = 0
    target.mkdir(parents=True, exist_ok=True)
    for path, real in walk.files(real_root, "", (real_root,)):
        copied = _copy(real, target / path, path, MAX_BUNDLE_BYTES - total)
        files.append(copied)
        total += copied.size
        check_totals(len(files), total, MAX_SOURCE_FILES)
    check_collisions(file.path for file in files)
    return tuple(sorted(files, key=lambda file: file.path))


@dataclass(frozen=True, kw_only=True)
class _Walk:
    """What decides which files of a tree stay."""

    ignore: Ignore
    boundary: Path
    left_out: frozenset[Path]
    ends: float = field(default_factory=lambda: time.monotonic() + COPY_TIMEOUT)
    ways: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    """Numbers those to folders that are looked into: links can lead to a few by any number."""

    def files(
        self, folder: Path, prefix: str, above: tuple[Path, ...]
    ) -> Iterator[tuple[str, Path]]:
        """Yield path in the bundle and real path of every file; `above` finds loops of links."""
        if next(self.ways) > MAX_SOURCE_FOLDERS:
            raise SourceTreeError(
                f"There are more than {MAX_SOURCE_FOLDERS:,} folders, or ways to them by links.",
                next_step="List in .casemateignore what the function does not need.",
            )
        for name in _names(folder, prefix):
            path = f"{prefix}{name}"
            if time.monotonic() > self.ends:
                raise SourceTreeError(
                    f"Copying the source takes longer than {COPY_TIMEOUT:.0f} s.",
                    next_step="Make it smaller, or use fewer patterns in .casemateignore.",
                )
            real, mode = _resolve(folder / name, path, self.boundary)
            is_folder = stat.S_ISDIR(mode)
            if self.ignore.matches(path, folder=is_folder) or real in self.left_out:
                continue
            check_path(path)
            if is_folder:
                if real in above:
                    raise SourceTreeError(f"The link {path!a} leads to a folder that holds it.")
                yield from self.files(real, f"{path}/", (*above, real))
            elif stat.S_ISREG(mode):
                yield path, real
            else:
                raise SourceTreeError(
                    f"{path!a} is {kind_of(mode)} that leads out of the project or nowhere."
                    if stat.S_ISLNK(mode)
                    else f"{path!a} is {kind_of(mode)}, not a file.",
                    next_step="Remove it, or list it in .casemateignore.",
                )


def _names(folder: Path, prefix: str) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise SourceTreeError(
            f"The folder {prefix or '.'!a} cannot be read: {error.strerror}."
        ) from error


def _resolve(entry: Path, path: str, boundary: Path) -> tuple[Path, int]:
    """Return the real path of an entry and its mode, links followed within the boundary only.

    A link that leads out or nowhere keeps the mode of a link, so that it is refused by its kind
    unless a pattern leaves it out.
    """
    try:
        mode = entry.lstat().st_mode
        if not stat.S_ISLNK(mode):
            return entry, mode
        real = entry.resolve(strict=True)
        if real.is_relative_to(boundary):
            return real, real.stat().st_mode
    except FileNotFoundError:
        pass
    except (OSError, RuntimeError, ValueError) as error:
        raise SourceTreeError(f"{path!a} cannot be read.") from error
    return entry, stat.S_IFLNK


def _copy(source: Path, target: Path, path: str, most: int) -> BundleFile:
    """Copy one file; return it as it was read, even if it changes meanwhile.

    Of one with more bytes than `most` hardly more is copied: a sparse file can say it has any.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with os.fdopen(open_regular(source), "rb") as read, target.open("xb") as write:
        while size <= most and (chunk := read.read(_CHUNK)):
            digest.update(chunk)
            size += len(chunk)
            write.write(chunk)
    return BundleFile(path=path, size=size, sha256=digest.hexdigest())
