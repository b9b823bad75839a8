"""A folder that appears whole or not at all. No link is followed out of the application."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from casemate.importing.limits import MAX_FILE_BYTES
from casemate.kernel.drafts import draft_folder
from casemate.model.errors import CasemateError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class FolderError(CasemateError):
    """The folder cannot be written."""


def check_output(folder: Path) -> None:
    """Raise FolderError unless a folder is not there yet, or is empty."""
    try:
        status = folder.lstat()
        taken = not stat.S_ISDIR(status.st_mode) or any(folder.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise _cannot(folder, error) from error
    if taken:
        raise FolderError(
            f"{folder} is there already, and is no empty folder.",
            next_step="Name another one with --output: nothing is overwritten.",
        )


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a folder beside, which becomes `folder` if the block ends well and is gone if not.

    What a kill leaves of it is removed by the next one that is to become the same.
    """
    check_output(folder)
    try:
        with draft_folder(folder.parent, f".{folder.name}.import-") as made:
            yield made
            made.chmod(0o777 & ~_umask())
            # An empty folder is replaced; one that was filled meanwhile, or a link, is not.
            made.rename(folder)
    except OSError as error:
        raise _cannot(folder, error) from error


def _umask() -> int:
    found = os.umask(0o077)
    os.umask(found)
    return found


def _cannot(folder: Path, error: OSError) -> FolderError:
    return FolderError(
        f"{folder} cannot be written: {error.strerror}.",
        next_step="Name a folder that you may write to with --output.",
    )


def write_text(folder: Path, name: str, text: str) -> None:
    """Write one file of the project."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", errors="replace", newline="\n")


def copy(
    root: Path, files: Mapping[str, str], folder: Path, refuse: Callable[[str, str, bytes], bool]
) -> Iterator[tuple[str, str]]:
    """Copy files of an application; yield those that could not be, with the reason."""
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for target, file in files.items():
            try:
                data = _read(top, file)
            except OSError as error:
                yield file, error.strerror or "it cannot be read"
                continue
            if data is None:
                yield file, "it is no longer a file, or has grown"
            elif refuse(target, file, data):
                continue
            else:
                path = folder / target
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
    finally:
        os.close(top)


def _read(top: int, file: str) -> bytes | None:
    """Return a file's content, opened folder by folder so that no link is followed."""
    *folders, last = PurePosixPath(file).parts
    here = os.dup(top)
    try:
        for name in folders:
            below = os.open(name, _FOLDER, dir_fd=here)
            os.close(here)
            here = below
        handle = os.open(
            last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here
        )
    finally:
        os.close(here)
    with os.fdopen(handle, "rb") as opened:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        data = opened.read(MAX_FILE_BYTES + 1)
    return data if len(data) <= MAX_FILE_BYTES else None
