"""Rules for the files of a bundle, and a walk over a folder that enforces them."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import itertools
import os
import shutil
import stat
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from casemate.build.errors import SourceTreeError
from casemate.build.limits import (
    MAX_BUNDLE_BYTES,
    MAX_DEPTH,
    MAX_NAME_BYTES,
    MAX_PATH_BYTES,
)
from casemate.kernel.durability import sync_folder
from casemate.model.bundle import BundleFile

_CHUNK = 1 << 20


def check_path(path: str) -> None:
    """Raise SourceTreeError unless `path` is a relative path a bundle may hold.

    No empty, `.` or `..` component, no backslash, no control or unencodable character, bounded in
    length and depth.
    """
    shown = ascii(path)[:200]
    try:
        encoded = path.encode()
    except UnicodeEncodeError as error:
        raise SourceTreeError(f"The name {shown} is not UTF-8.", next_step="Rename it.") from error
    parts = path.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        raise SourceTreeError(f"The path {shown} is not a plain relative path.")
    if "\\" in path or any(unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp"} for c in path):
        raise SourceTreeError(
            f"The name {shown} has a backslash or a control character.", next_step="Rename it."
        )
    if len(encoded) > MAX_PATH_BYTES or len(parts) > MAX_DEPTH:
        raise SourceTreeError(
            f"The path {shown} is longer than {MAX_PATH_BYTES} bytes or {MAX_DEPTH} folders."
        )
    if any(len(part.encode()) > MAX_NAME_BYTES for part in parts):
        raise SourceTreeError(f"The name {shown} is longer than {MAX_NAME_BYTES} bytes.")


def check_collisions(paths: Iterable[str]) -> None:
    """Raise SourceTreeError if two paths differ only in case or Unicode form, or one is a folder.

    Such trees mean different things on different file systems.
    """
    seen: dict[str, str] = {}
    files: set[str] = set()
    folders: set[str] = set()
    for path in paths:
        files.add(path)
        _check_collision(path, seen)
        parent = path.rpartition("/")[0]
        while parent and parent not in folders:
            folders.add(parent)
            _check_collision(parent, seen)
            parent = parent.rpartition("/")[0]
    for path in files & folders:
        raise SourceTreeError(f"{path!a} is both a file and a folder.")


def _check_collision(path: str, seen: dict[str, str]) -> None:
    key = path.lower()
    if not path.isascii():
        key = unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
    if seen.setdefault(key, path) != path:
        raise SourceTreeError(
            f"{path!a} and {seen[key]!a} differ only in case or Unicode form.",
            next_step="Rename one of them.",
        )


def walk_files(root: Path, *, max_files: int) -> Iterator[tuple[str, int]]:
    """Yield path and size of every file below `root`, sorted within each folder.

    Raises SourceTreeError at the first link (none is followed), device, pipe or socket, and when
    the number, size or depth is beyond the limits.
    """
    count = total = 0
    pending = [("", root)]
    while pending:
        prefix, folder = pending.pop()
        for entry in _entries(folder):
            path = f"{prefix}{entry.name}"
            check_path(path)
            info = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(info.st_mode):
                pending.append((f"{path}/", Path(entry.path)))
                continue
            if not stat.S_ISREG(info.st_mode):
                raise SourceTreeError(f"{path!a} is {kind_of(info.st_mode)}, not a file.")
            count, total = count + 1, total + info.st_size
            check_totals(count, total, max_files)
            yield path, info.st_size


def check_totals(count: int, total: int, max_files: int) -> None:
    """Raise SourceTreeError if a tree holds too many files or bytes."""
    if count > max_files:
        raise SourceTreeError(
            f"More than {max_files} files.",
            next_step="List unneeded files in .casemateignore, or use fewer dependencies.",
        )
    if total > MAX_BUNDLE_BYTES:
        raise SourceTreeError(
            f"More than {MAX_BUNDLE_BYTES // 1024 // 1024} MiB.",
            next_step="List unneeded files in .casemateignore, or use fewer dependencies.",
        )


def kind_of(mode: int) -> str:
    """Name the kind of a file that is not a regular one."""
    kinds = {
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFDIR: "a folder",
    }
    return kinds.get(stat.S_IFMT(mode), "of an unknown kind")


def open_regular(path: Path) -> int:
    """Open a file for reading; neither follow a link at its end nor wait for a pipe.

    Returns a descriptor. Raises SourceTreeError if it is not a regular file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise SourceTreeError(f"{path.name!a} cannot be read: {error.strerror}.") from error
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    raise SourceTreeError(f"{path.name!a} is {kind_of(mode)}, not a file.")


def hash_file(root: Path, path: str) -> BundleFile:
    """Return a file of a tree with its size and hash."""
    with os.fdopen(open_regular(root / path), "rb") as file:
        digest, size = hashlib.sha256(), 0
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return BundleFile(path=path, size=size, sha256=digest.hexdigest())


def normalise_modes(root: Path) -> None:
    """Make every folder 0755 and every file 0644, owned by this process's user.

    Raises SourceTreeError at a link, through which the mode of another file would change.
    """
    as_root = os.geteuid() == 0
    for folder, _, files in os.walk(root):
        Path(folder).chmod(0o755)
        if as_root:
            os.chown(folder, 0, 0, follow_symlinks=False)
        for name in files:
            path = Path(folder, name)
            if path.is_symlink():
                raise SourceTreeError(f"{name!a} is a symbolic link, not a file.")
            if as_root:
                os.chown(path, 0, 0, follow_symlinks=False)
            path.chmod(0o644)


def sync_tree(root: Path) -> None:
    """Return once everything below `root` is on the disk (syncfs(2), reports write errors)."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if library.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)


def publish(staged: Path, final: Path, *, trash: Path) -> None:
    """Give a finished folder its final name, at once, replacing what is there.

    `trash` is a folder on the same file system for what is replaced; the caller removes it.
    """
    sync_tree(staged)
    if final.exists() or final.is_symlink():
        final.rename(trash / "replaced")
    staged.rename(final)
    sync_folder(final.parent)


def fresh_folder(parent: Path, prefix: str) -> Path:
    """Make a private folder whose name begins with `prefix`.

    The caller holds the lock that goes with the prefix: what has it already was left by a process
    that died, and is removed.
    """
    for left in parent.iterdir():
        if left.name.startswith(prefix):
            remove_tree(left)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=parent))


def remove_tree(folder: Path) -> None:
    """Remove a folder, if it is there, however deep it is and whatever rights its folders have."""
    # Python 3.11 and 3.12 go into folders by recursion, which 1,000 in each other end.
    with contextlib.suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    if folder.is_dir() and not folder.is_symlink():
        _remove_by_moving(folder)


def _remove_by_moving(folder: Path) -> None:
    """Remove a folder whose filler is gone: each one in it is moved up as it is met."""
    try:
        # By its own name, so that `fresh_folder` finds what a process that died has left.
        aside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    except OSError:
        return
    moved = itertools.count()
    left: list[Path] = []
    with contextlib.suppress(OSError):
        left.append(_set_aside(folder, aside / str(next(moved))))
    while left:
        current = left.pop()
        with contextlib.suppress(OSError), os.scandir(current) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        left.append(_set_aside(Path(entry.path), aside / str(next(moved))))
                    else:
                        Path(entry.path).unlink()
        with contextlib.suppress(OSError):
            current.rmdir()
    # What could not be moved: none of it is deep any more.
    shutil.rmtree(aside, ignore_errors=True)


def _set_aside(folder: Path, place: Path) -> Path:
    """Move a folder, which takes the right to write to it. Raises OSError."""
    folder.chmod(0o700)
    return folder.rename(place)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda e: e.name)
    except OSError as error:
        raise SourceTreeError(
            f"The folder {folder.name!a} cannot be read: {error.strerror}."
        ) from error
