"""Files that take their place at once: whole, or what was there stays."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from . import linux
from .drafts import draft_file

_AT_FDCWD = -100
_NOREPLACE = 1
"""RENAME_NOREPLACE of renameat2(2)."""
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
"""What link(2) says on file systems without links (vfat, some of FUSE and of networks)."""
_NO_FLAGS = (errno.EINVAL, errno.ENOSYS, errno.EPERM)
"""What renameat2(2) says on file systems and kernels that know no flags."""
_NOT_BESIDE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY)
"""Of a file that may be written in a folder that may not, or that is mounted by itself."""
_OPEN = ("/dev", "/proc")
"""Where names are of what is open, such as `/dev/stdout`."""
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE = 0o666
_NAME_LENGTH = 100
_PIECE = 1 << 20


def take_name(draft: Path, name: Path) -> None:
    """Give a whole file its name, which it takes from no other. Its draft may be left beside it
    where the file system knows no exclusive rename.

    Raises FileExistsError if something has that name by now, OSError. Where the file system has
    neither links nor an exclusive rename, the name is claimed by an empty file first, which a kill
    at that moment leaves.
    """
    try:
        _rename_new(draft, name)
    except OSError as error:
        if error.errno not in _NO_FLAGS:
            raise
    else:
        return
    try:
        os.link(draft, name)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    else:
        return
    _claim(draft, name)


def _claim(draft: Path, name: Path) -> None:
    descriptor = os.open(name, _NEW, 0o600)
    try:
        draft.replace(name)
    except BaseException:
        with suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), name.lstat()):  # no other's meanwhile
                name.unlink()
        raise
    finally:
        os.close(descriptor)


def _rename_new(draft: Path, name: Path) -> None:
    old, new = os.fsencode(draft), os.fsencode(name)
    if linux.call("renameat2", _AT_FDCWD, old, _AT_FDCWD, new, _NOREPLACE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(name))


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file that is never changed a second name, or have a copy where links are not to be
    had. Raises FileExistsError, OSError.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with source.open("rb") as old, os.fdopen(os.open(target, _NEW, 0o600), "wb") as new:
            shutil.copyfileobj(old, new, _PIECE)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that somebody has named, in the place of what is there: all of it or nothing.

    A link is followed, a pipe or a device is written to, and the mode of a file that is there
    stays. Only where its folder takes no other file is it written over in place. Raises OSError.
    """
    before: os.stat_result | None = None
    with suppress(FileNotFoundError):
        before = path.stat()
    if before is not None and not _is_replaced(path, before):
        path.write_bytes(content)
        return
    if before is not None and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    try:
        _replace(Path(os.path.realpath(path)), content, before)
    except OSError as error:
        if before is None or error.errno not in _NOT_BESIDE:
            raise
        path.write_bytes(content)


def _is_replaced(path: Path, before: os.stat_result) -> bool:
    """Tell whether another file may take the place of one: not of what a program has open."""
    if not stat.S_ISREG(before.st_mode):
        return False
    return not any(path.absolute().is_relative_to(folder) for folder in _OPEN)


def _replace(path: Path, content: bytes, before: os.stat_result | None) -> None:
    prefix = f".{path.name[:_NAME_LENGTH]}."
    with draft_file(path.parent, prefix, ".part", mode=_MODE) as (draft, handle):
        with os.fdopen(handle, "wb", closefd=False) as file:
            file.write(content)
        if before is not None:
            with suppress(PermissionError):  # one's own file stays one's own
                os.fchown(handle, before.st_uid, before.st_gid)
            os.fchmod(handle, stat.S_IMODE(before.st_mode))
        os.fsync(handle)
        draft.replace(path)
