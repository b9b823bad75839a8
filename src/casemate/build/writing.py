"""Writes files of a project so that none is ever half written."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from casemate.kernel.durability import sync_folder

_PREFIX = ".casemate-new-"
_OURS = re.compile(re.escape(_PREFIX) + r"[a-z0-9_]{8}")
_LEFT_SECONDS = 10.0
"""Younger ones may be about to be locked."""
_MOST_LOOKED_AT = 20_000


def write_together(texts: Mapping[Path, str], *, like: Path) -> None:
    """Replace files by others, in the order given, owned by whoever owns `like`; rights stay.

    All are on the disk before the first is replaced; each is either as it was or as it is to be,
    whenever this process ends. What one that was killed has left beside them goes. Raises OSError,
    after which none is replaced unless that failed.
    """
    for folder in {path.parent for path in texts}:
        _remove_left(folder)
    staged: list[tuple[str, Path]] = []
    with contextlib.ExitStack() as held:
        try:
            for path, text in texts.items():
                staged.append((_staged(path, text, like, held), path))
            for temporary, path in staged:
                Path(temporary).replace(path)
            for folder in {path.parent for path in texts}:
                sync_folder(folder)
        finally:
            for temporary, _ in staged:
                with contextlib.suppress(OSError):
                    Path(temporary).unlink()


def _remove_left(folder: Path) -> None:
    """Delete files that were to take another one's place, and whose writer is gone."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number >= _MOST_LOOKED_AT:
                return
            if _OURS.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    _remove_if_left(entry.path)


def _remove_if_left(path: str) -> None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags)
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and abs(time.time() - found.st_mtime) > _LEFT_SECONDS:
            # Who writes it holds this to its end, however that comes.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            Path(path).unlink()
    finally:
        os.close(descriptor)


def _staged(path: Path, text: str, like: Path, held: contextlib.ExitStack) -> str:
    """Write a text beside where it is to be; return the file's name. `held` keeps it locked."""
    descriptor, temporary = tempfile.mkstemp(prefix=_PREFIX, dir=path.parent)
    try:
        file = held.enter_context(os.fdopen(descriptor, "w", encoding="utf-8", newline=""))
        with contextlib.suppress(OSError):  # without locks nobody removes it, either
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
        owner = like.stat()
        os.fchmod(descriptor, _mode(path))
        if os.geteuid() == 0:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    return temporary


def _mode(path: Path) -> int:
    """Return the rights of a file that is replaced, or those of a new one."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return 0o644
