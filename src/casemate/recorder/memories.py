"""The memory of gateways that is not theirs alone, in the supervisor.

Each gateway gets a file of its own in `/dev/shm`, which is passed to each recorder, and removed
once a recorder has kept what a gateway that is gone has left there. It is there as long as the host
runs: also the recorder of a node that is started after all of its processes were killed has it.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from casemate.recorder import outstanding

MAX_LEFT = 8
"""Gateways whose memory waits for a recorder. There is one, of which a recorder was there last."""
_MEMORY = Path("/dev/shm")  # noqa: S108 - a tmpfs on every Linux; only files of our own are opened


class Memories:
    """The memory of a node's gateways, the newest last."""

    def __init__(self, name: str, report: Callable[[str], None]) -> None:
        """Find what was left by earlier runs; `name` tells the nodes of one user apart."""
        self._prefix = f"casemate-told-{os.geteuid()}-{name}-"
        self._report = report
        self._known: dict[int, Path | None] = {}
        """Descriptors, and the files that they are of."""
        # One that waits is the older one: a node that is killed again adds another.
        for path in sorted(_MEMORY.glob(f"{self._prefix}*"), key=_made):
            self._find(path)

    def _find(self, path: Path) -> None:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return  # not ours, or gone
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or status.st_mode & 0o077 or status.st_nlink != 1:
            os.close(descriptor)
            return
        self._known[descriptor] = path

    def new(self) -> io.FileIO:
        """Return memory for the gateway that is started next; none lives now. Raises OSError."""
        self._forget()
        path: Path | None = _MEMORY / f"{self._prefix}{secrets.token_hex(8)}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(str(path), flags, 0o600)
        except OSError as error:
            self._report(
                f"no file can be made in {_MEMORY} ({error.strerror}): were all processes of the "
                "node killed at once, the last calls that were answered would not be on record"
            )
            path, descriptor = None, os.memfd_create("outstanding", os.MFD_CLOEXEC)
        self._known[descriptor] = path
        os.ftruncate(descriptor, outstanding.SIZE)
        return _copy(descriptor)

    def given(self) -> tuple[io.FileIO, ...]:
        """Return what a recorder gets: all that is there. Raises OSError."""
        return tuple(_copy(each) for each in self._known if outstanding.is_memory(each))

    def close(self) -> None:
        """Remove what nobody waits for; the rest is for the node that is started next."""
        self._forget()
        if self._known:
            self._report("what was answered last is not on record until the node is started again")
        for each in self._known:
            os.close(each)
        self._known.clear()

    def _forget(self) -> None:
        """Remove what was kept, and that of gateways that had no recorder: they answered nothing.

        Of too many the oldest goes.
        """
        left = [each for each in self._known if outstanding.journal_of(each)]
        if len(left) >= MAX_LEFT:
            self._report("what a gateway had answered last was never kept, and is given up")
        for each in set(self._known) - set(left[-MAX_LEFT + 1 :]):
            path = self._known.pop(each)
            os.close(each)
            if path is not None:
                with contextlib.suppress(OSError):
                    path.unlink()


def _made(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _copy(descriptor: int) -> io.FileIO:
    return io.FileIO(os.dup(descriptor), "r+")
