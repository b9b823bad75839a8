"""Whether the files of a bundle are still those that were checked when it was unpacked.

What was checked once is remembered with what the file system says of it: inode, size, and the times
of its content and of its change, which nobody sets back. Only what differs in that is read again
and held against the bundle's manifest, so that looking costs microseconds. Blocks where it says so.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from casemate.build import ArchiveError, require_manifest
from casemate.build.contents import MANIFEST_NAME
from casemate.build.tree import hash_file
from casemate.model.bundle import BundleFile, BundleManifest

_OWN = "code/"
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MAX_GLANCE = 512
"""Files of a function's own that are looked at before it is started; all are meanwhile."""


class Stamp(NamedTuple):
    """What the file system says of one file or folder."""

    inode: int
    size: int
    modified: int
    changed: int


def stamp_of(path: Path | str) -> Stamp | None:
    """Return a stamp; None where there is nothing."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return Stamp(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _is_as(stamp: Stamp, name: str, folder: int) -> bool:
    """Tell whether what has a name in an open folder has this stamp."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return stamp == (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class Unpacked:
    """One unpacked bundle: what was found when it was checked."""

    def __init__(self, folder: Path) -> None:
        """Take the stamps of all that is there; it was checked just now. Blocks."""
        self._folder = str(folder)
        self._digest = folder.name
        self._stamps = _stamps(self._folder)
        self._glance = [
            path for path in sorted(self._stamps) if path.startswith(_OWN) or path == MANIFEST_NAME
        ][:MAX_GLANCE]

    @property
    def size(self) -> int:
        """Bytes of all that is there."""
        return sum(stamp.size for path, stamp in self._stamps.items() if path)

    def glance(self) -> str:
        """Return what is wrong with the function's own files; empty if nothing is."""
        stamps, folder = self._stamps, self._folder
        return self._problem(
            [path for path in self._glance if stamp_of(f"{folder}/{path}") != stamps[path]]
        )

    def look(self) -> str:
        """Return what is wrong with any file; empty if nothing is. Blocks."""
        return self._problem(self._differing())

    def _differing(self) -> list[str]:
        """Return what differs of all that is there.

        Each file is looked at from its folder: to go there anew from the root takes a third longer,
        and a first call waits for thousands.
        """
        differing: list[str] = []
        inside: str | None = None
        descriptor = -1
        try:
            for path, stamp in self._stamps.items():
                above, _, name = path.rpartition("/")
                if above != inside:
                    if descriptor >= 0:
                        os.close(descriptor)
                    inside, descriptor = above, self._open(above)
                if descriptor < 0 or not _is_as(stamp, name or ".", descriptor):
                    differing.append(path)
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        return differing

    def _open(self, inside: str) -> int:
        """Return a descriptor of a folder that is the very one it was; -1 if there is no such."""
        try:
            descriptor = os.open(f"{self._folder}/{inside}", _FOLDER)
        except OSError:
            return -1
        known = self._stamps.get(inside)
        if known is not None and os.fstat(descriptor).st_ino == known.inode:
            return descriptor
        os.close(descriptor)
        return -1

    def _problem(self, differing: list[str]) -> str:
        """Return what is wrong with what differs; empty if it is what the manifest names."""
        if not differing:
            return ""
        try:
            named = {file.path: file for file in self._manifest().files}
            for path in differing:
                self._require(path, named)
        except (OSError, ArchiveError) as error:
            return str(getattr(error, "message", error))
        return ""

    def _require(self, path: str, named: dict[str, BundleFile]) -> None:
        """Have a file or folder that differs be what the manifest names. Raises ArchiveError."""
        whole = Path(self._folder) / path
        stamp = stamp_of(whole)
        if stamp is None:
            raise ArchiveError(f"{path} is gone.")
        if path in named:
            if whole.is_symlink() or hash_file(Path(self._folder), path) != named[path]:
                raise ArchiveError(f"{path} is not what {MANIFEST_NAME} names.")
        elif path != MANIFEST_NAME:
            if whole.is_symlink():
                raise ArchiveError(f"{path} is a link to somewhere else.")
            prefix = f"{path}/" if path else ""
            for entry in os.scandir(whole):
                if f"{prefix}{entry.name}" not in self._stamps:
                    raise ArchiveError(f"{prefix}{entry.name} is not named by {MANIFEST_NAME}.")
        if stamp_of(whole) != stamp:
            raise ArchiveError(f"{path} changes while it is read.")
        self._stamps[path] = stamp

    def _manifest(self) -> BundleManifest:
        with (Path(self._folder) / MANIFEST_NAME).open("rb") as file:
            return require_manifest(file, self._digest)


def _stamps(folder: str) -> dict[str, Stamp]:
    """Return the stamps of a folder and all below it, by paths relative to it."""
    found: dict[str, Stamp] = {}
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        own = stamp_of(f"{folder}/{inside}" if inside else folder)
        if own is not None:
            found[inside] = own
        prefix = f"{inside}/" if inside else ""
        with os.scandir(f"{folder}/{inside}") as entries:
            for entry in entries:
                path = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                elif (stamp := stamp_of(entry.path)) is not None:
                    found[path] = stamp
    return found


class Sealed(msgspec.Struct):
    """What is known of a sealed file: as it was when it was written or read, and if it is bad."""

    sound: Stamp | None = None
    bad: Stamp | None = None
    problem: str = ""
