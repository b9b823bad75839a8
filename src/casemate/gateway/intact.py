"""Whether the files of a bundle are still those that were checked when it was unpacked.

What was checked once is remembered with what the file system says of it: inode, size, and the times
of its content and of its change, which nobody sets back. Only what differs in that is read again
and held against the bundle's manifest, so that looking costs microseconds. Blocks where it says so.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from casemate.build import ArchiveError, require_manifest
from casemate.build.contents import MANIFEST_NAME
from casemate.build.tree import hash_file
from casemate.kernel.file_states import FileStates, file_states
from casemate.model.bundle import BundleFile, BundleManifest

_OWN = "code/"
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PAGE = os.sysconf("SC_PAGE_SIZE")
MAX_GLANCE = 512
"""Files of a function's own that are looked at before it is started; all are meanwhile."""
_FEW = 16
"""What is in a folder with fewer entries is looked at from one above: to open it takes longer."""


class Stamp(NamedTuple):
    """What the file system says of one file or folder."""

    inode: int
    size: int
    modified: int
    changed: int


def taken(size: int) -> int:
    """Return how much memory a file or folder takes: whole pages, and one for what the kernel
    keeps of it, so that the file system has room for as many.
    """
    return (-(-size // _PAGE) + 1) * _PAGE


def stamp_of(path: Path | str) -> Stamp | None:
    """Return a stamp; None where there is nothing."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return Stamp(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class Unpacked:
    """One unpacked bundle: what was found when it was checked."""

    def __init__(self, folder: Path) -> None:
        """Take the stamps of all that is there; it was checked just now. Blocks."""
        self._folder = str(folder)
        self._digest = folder.name
        self._stamps = _stamps(self._folder)
        """By the folder from which something is looked at, and the path from there; the folder of
        the bundle itself is called `.`."""
        self._names = {
            inside: tuple(map(os.fsencode, stamps)) for inside, stamps in self._stamps.items()
        }
        self._said: dict[str, bytes] = {}
        """All that the kernel said of those in a folder, where nothing differed."""
        own = [inside for inside in self._stamps if not inside or f"{inside}/".startswith(_OWN)]
        paths = (
            f"{inside}/{name}" if inside else name
            for inside in own
            for name in self._stamps[inside]
        )
        self._glance = [
            path for path in sorted(paths) if path.startswith(_OWN) or path == MANIFEST_NAME
        ][:MAX_GLANCE]

    @property
    def size(self) -> int:
        """Bytes of memory that all of it takes."""
        return sum(
            taken(stamp.size) for inside in self._stamps.values() for stamp in inside.values()
        )

    def _known(self, path: str) -> Stamp | None:
        """Return the stamp that something had; None if there was no such thing."""
        inside, name = self._place(path)
        return self._stamps[inside].get(name)

    def _place(self, path: str) -> tuple[str, str]:
        """Return from which folder something is looked at, and its path from there."""
        inside, _, name = path.rpartition("/")
        while inside not in self._stamps:
            inside, _, part = inside.rpartition("/")
            name = f"{part}/{name}"
        return inside, name or "."

    def glance(self) -> str:
        """Return what is wrong with the function's own files; empty if nothing is."""
        known, folder = self._known, self._folder
        return self._problem(
            [path for path in self._glance if stamp_of(f"{folder}/{path}") != known(path)]
        )

    def look(self) -> str:
        """Return what is wrong with any file; empty if nothing is. Blocks."""
        return self._problem(self._differing())

    def _differing(self) -> list[str]:
        """Return what differs of all that is there.

        A first call waits for thousands of files. So each is looked at from its folder, or one
        near it, as to go there anew from the root takes a third longer. Where all that is said of
        those in a folder is what was said before, nothing else is done by file.
        """
        differing: list[str] = []
        states = file_states(max(map(len, self._names.values())))
        for inside, stamps in self._stamps.items():
            differs = self._differing_in(inside, stamps, states)
            if differs:
                differing += [f"{inside}/{name}" if inside else name for name in differs]
        return ["" if path == "." else path for path in differing]

    def _differing_in(
        self, inside: str, stamps: Mapping[str, Stamp], states: FileStates | None
    ) -> list[str]:
        descriptor = self._open(inside)
        if descriptor < 0:
            return list(stamps)
        try:
            if states is None or not states.read(descriptor, self._names[inside]):
                return _differing_from(stamps, descriptor)
            known = self._said.get(inside)
            if known is not None and states.are(known):
                return []
            found = zip(stamps.items(), states.each(len(stamps)), strict=True)
            differs = [name for (name, stamp), now in found if now != stamp]
            if not differs:
                self._said[inside] = states.first(len(stamps))
            return differs
        finally:
            os.close(descriptor)

    def _open(self, inside: str) -> int:
        """Return a descriptor of a folder that is the very one it was; -1 if there is no such."""
        try:
            descriptor = os.open(f"{self._folder}/{inside}", _FOLDER)
        except OSError:
            return -1
        known = self._known(inside)
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
                if self._known(f"{prefix}{entry.name}") is None:
                    raise ArchiveError(f"{prefix}{entry.name} is not named by {MANIFEST_NAME}.")
        if stamp_of(whole) != stamp:
            raise ArchiveError(f"{path} changes while it is read.")
        inside, name = self._place(path)
        self._stamps[inside][name] = stamp

    def _manifest(self) -> BundleManifest:
        with (Path(self._folder) / MANIFEST_NAME).open("rb") as file:
            return require_manifest(file, self._digest)


def _differing_from(stamps: Mapping[str, Stamp], descriptor: int) -> list[str]:
    """Return the names of what is not as it was, seen from an open folder."""
    differs: list[str] = []
    stat = os.stat
    for name, (inode, size, modified, changed) in stamps.items():
        try:
            found = stat(name, dir_fd=descriptor, follow_symlinks=False)
        except OSError:
            differs.append(name)
            continue
        if (
            found.st_ino != inode
            or found.st_size != size
            or found.st_mtime_ns != modified
            or found.st_ctime_ns != changed
        ):
            differs.append(name)
    return differs


def _stamps(folder: str) -> dict[str, dict[str, Stamp]]:
    """Return the stamps of a folder and all below it, by where they are looked at from."""
    root = stamp_of(folder)
    found: dict[str, dict[str, Stamp]] = {"": {} if root is None else {".": root}}
    waiting = [("", "", "")]
    """Folders, each with the one above that is looked at from, and its path from there."""
    while waiting:
        inside, near, way = waiting.pop()
        with os.scandir(f"{folder}/{inside}") as entries:
            there = list(entries)
        if len(there) >= _FEW:
            near, way = inside, ""
        names = found.setdefault(near, {})
        for entry in there:
            name = way + entry.name
            if entry.is_dir(follow_symlinks=False):
                waiting.append(
                    (f"{inside}/{entry.name}" if inside else entry.name, near, f"{name}/")
                )
            if (stamp := stamp_of(entry.path)) is not None:
                names[name] = stamp
    return found


class Sealed(msgspec.Struct):
    """What is known of a sealed file: as it was when it was written or read, and if it is bad."""

    sound: Stamp | None = None
    bad: Stamp | None = None
    problem: str = ""
