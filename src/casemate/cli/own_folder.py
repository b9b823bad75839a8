"""The folder `.casemate` of a project, in which commands make and delete what is theirs.

A project may be a stranger's, and a repository can hold links: what is written or deleted through
one would be anywhere on this machine.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from casemate.cli.errors import CommandError


def own_folder(root: Path, below: PurePosixPath) -> Path:
    """Return a folder of ours within a project, which need not be there yet.

    Raises CommandError if it is, or is reached through, anything but a folder, or one that others
    than root, this user and the project's owner have, or that everybody may change: what is read
    there is code, keys and the data of a node.
    """
    path = root
    for part in below.parts:
        path /= part
        try:
            found = path.lstat()
        except FileNotFoundError:
            break
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
        if not stat.S_ISDIR(found.st_mode):
            link = stat.S_ISLNK(found.st_mode)
            raise CommandError(
                f"{path} is {'a symbolic link' if link else 'no folder'}, expected a folder of the "
                "project.",
                next_step="See where it leads, remove it, and run this again.",
            )
        _require_kept(path, found, root)
    return root / below


def _require_kept(path: Path, found: os.stat_result, root: Path) -> None:
    """Refuse a folder that others can have changed. A group may be the user's own."""
    if found.st_mode & stat.S_IWOTH:
        raise CommandError(
            f"{path} has mode {stat.S_IMODE(found.st_mode):04o}: everybody on this machine may "
            "change what is read there, expected a folder that only its owner changes.",
            next_step="See that nothing in it is of others, or remove it; then "
            f"`chmod o-w {shlex.quote(str(path))}`",
        )
    if found.st_uid not in (0, os.geteuid(), root.stat().st_uid):
        raise CommandError(
            f"{path} belongs to uid {found.st_uid}, expected a folder of yours, of root or of the "
            "project's owner.",
            next_step="Remove it, or move it away, and run this again.",
        )


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
