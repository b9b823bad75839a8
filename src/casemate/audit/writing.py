"""Writes beside what is audited, which may hold links that lead anywhere: none is followed.

A file is made new beside the old one and put in its place. So neither a symbolic nor a hard link
is written through, and a write that is cut short leaves the file as it was.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath

from casemate.kernel.placing import write_whole
from casemate.model.errors import CasemateError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LINK = (errno.ELOOP, errno.ENOTDIR)


class NotWrittenError(CasemateError):
    """The file could not be written, or must not be."""


def write_beside(root: Path, path: Path, text: str) -> None:
    """Write a file that somebody has named, at a relative path or anywhere.

    Below the folder it is called in, and below `root`, which is audited, no link is followed.
    Elsewhere, as at `/dev/stdout`, the path is whoever's who named it. Raises NotWrittenError.
    """
    for base in (Path(), root):
        inside = _inside(base, path)
        if inside is not None:
            write_inside(base, inside, text)
            return
    data = _encoded(text)
    try:
        write_whole(path, data)
    except OSError as error:
        raise _not_written(path, error) from error


def _inside(base: Path, path: Path) -> PurePath | None:
    """Return a path as it goes on from a folder; None if it lies elsewhere.

    All is in `/`, and nothing is there because it is.
    """
    if not path.is_absolute():
        return path if base == Path() else None
    lexical = PurePath(os.path.normpath(path))
    for folder in (Path(os.path.normpath(Path.cwd() / base)), base.resolve()):
        if folder != folder.parent and lexical.is_relative_to(folder):
            return lexical.relative_to(folder)
    return None


def write_inside(root: Path, name: PurePath | str, text: str) -> None:
    """Write a file below a folder, through no link. Raises NotWrittenError."""
    path = PurePath(name)
    try:
        with _folder_of(root, path) as folder:
            _replace(folder, path, _encoded(text))
    except OSError as error:
        raise _not_written(path, error) from error


@contextmanager
def _folder_of(root: Path, path: PurePath) -> Iterator[int]:
    """Give the folder that a file is in, opened part by part."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in path.parts[:-1]:
            following = os.open(part, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = following
        yield folder
    finally:
        os.close(folder)


def _encoded(text: str) -> bytes:
    """Return the bytes of a text: those of names that are not UTF-8, other surrogates shown."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")


def _replace(folder: int, path: PurePath, data: bytes) -> None:
    before = None
    try:
        before = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        pass
    else:
        if stat.S_ISLNK(before.st_mode):
            raise OSError(errno.ELOOP, "a link")
        if not stat.S_ISREG(before.st_mode):
            raise NotWrittenError(f"{path} cannot be written: it is not a file.")
    beside = f".{path.name[:100]}.{secrets.token_hex(8)}"
    handle = os.open(beside, _NEW, 0o666, dir_fd=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            if before is not None:
                with suppress(PermissionError):  # one's own file stays one's own
                    os.fchown(file.fileno(), before.st_uid, before.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
        os.replace(beside, path.name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.unlink(beside, dir_fd=folder)
        raise


def _not_written(path: PurePath, error: OSError) -> NotWrittenError:
    if error.errno in _LINK:
        return NotWrittenError(
            f"{path} cannot be written: it is, or leads through, a symbolic link.",
            next_step="Links in the audited folder are not followed. Name another file.",
        )
    return NotWrittenError(f"{path} cannot be written: {error.strerror}.")
