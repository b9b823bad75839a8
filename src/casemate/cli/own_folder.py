"""The folder `.casemate` of a project, in which commands make and delete what is theirs.

A project may be a stranger's, and a repository can hold links: what is written or deleted through
one would be anywhere on this machine.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from casemate.cli.errors import CommandError


def own_folder(root: Path, below: PurePosixPath) -> Path:
    """Return a folder of ours within a project, which need not be there yet.

    Raises CommandError if it is, or is reached through, anything but a folder.
    """
    path = root
    for part in below.parts:
        path /= part
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            break
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
        if not stat.S_ISDIR(mode):
            raise CommandError(
                f"{path} is {'a symbolic link' if stat.S_ISLNK(mode) else 'no folder'}, expected "
                "a folder of the project.",
                next_step="See where it leads, remove it, and run this again.",
            )
    return root / below


@contextmanager
def held(path: Path, refusal: CommandError) -> Iterator[None]:
    """Hold a lock for as long as the block lasts, by a file of ours (flock(2)).

    Raises `refusal` while somebody else holds it. Whatever ends a process, its lock ends with it.
    """
    try:
        path.parent.mkdir(exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise CommandError(
            f"{path} cannot be written: {error.strerror}.",
            next_step="See what it is, remove it, and run this again.",
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise refusal from error
        yield
    finally:
        os.close(descriptor)
