"""The user ids of functions: each zygote gets one of its own, with all its instances.

Much of what the kernel counts it counts by user id: descriptors in flight, pending signals, pipe
memory, watches. Functions that shared one could use up what others need. So a base zygote's user
namespace maps a range of host ids beside the one that started it, and a zygote takes one of them
for good when it gives up its rights.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import secrets
import stat
import subprocess
import tempfile
from pathlib import Path

import msgspec

from casemate.kernel import linux
from casemate.model.errors import ProtectionMissingError, UnavailableError

BLOCKS = 16
"""Parts of a range. Each node of a host claims one, so that no two give out the same id."""
_CLAIMS = Path("/dev/shm")  # noqa: S108 - the folder made in it is private
_MAP_SECONDS = 5.0
_AT_FDCWD, _EXCHANGE = -100, 2
"""For renameat2(2)."""


class IdRange(msgspec.Struct, frozen=True):
    """Host ids that belong to nobody but functions: `uid` and `gid` start, both `count` long."""

    uid: int
    gid: int
    count: int


class IdsInUseError(UnavailableError):
    """Every user id for functions is in use."""


class Identities:
    """Gives out the ids of a range, one for each zygote.

    Inside a base zygote's namespace 0 is whoever started it and 1 to `count` are the range. An id
    is given out again only after all others were: by then the kernel has forgotten whom it was.
    """

    def __init__(self, ids: IdRange) -> None:
        """Claim a block of the range. Raises ProtectionMissingError if there is none free."""
        self._size = ids.count // BLOCKS
        if self._size < 1:
            raise ProtectionMissingError(
                f"A range of {ids.count} user ids is too small, expected at least {BLOCKS}.",
                next_step="Use 65536, the default.",
            )
        block, self._claim = _claim_block(ids)
        start = block * self._size
        self.range = IdRange(ids.uid + start, ids.gid + start, self._size)
        self._used: set[int] = set()
        # Not from the start: what a killed node left may still be ending.
        self._next = secrets.randbelow(self._size)

    def take(self) -> int:
        """Return an id, as it is called inside a base zygote's namespace. Raises IdsInUseError."""
        for _ in range(self._size):
            self._next = self._next % self._size + 1
            if self._next not in self._used:
                self._used.add(self._next)
                return self._next
        raise IdsInUseError(
            f"All {self._size} user ids for functions are in use.",
            next_step="Give the node a larger range: casemate serve --function-ids",
        )

    def release(self, identity: int) -> None:
        """Let an id be used again: nothing that had it lives any more."""
        self._used.discard(identity)

    def map_into(self, pid: int, creator: tuple[int, int]) -> None:
        """Write the maps of a base zygote that waits for them. Raises ProtectionMissingError.

        `creator` are the host's user and group id that started it.
        """
        for kind, own, start in (
            ("uid", creator[0], self.range.uid),
            ("gid", creator[1], self.range.gid),
        ):
            entries = (0, own, 1, 1, start, self._size)
            try:
                if os.geteuid() == 0:
                    text = "{} {} {}\n{} {} {}\n".format(*entries)
                    Path(f"/proc/{pid}/{kind}_map").write_text(text)
                else:
                    _map_by_helper(f"new{kind}map", pid, entries)
            except OSError as error:
                raise ProtectionMissingError(
                    f"The user ids {start} to {start + self._size - 1} cannot be mapped: {error}",
                    next_step="Run `casemate doctor`; see Run a node, Ids of functions.",
                ) from error

    def close(self) -> None:
        """Give the block back."""
        if self._claim >= 0:
            os.close(self._claim)
            self._claim = -1


def _map_by_helper(program: str, pid: int, entries: tuple[int, ...]) -> None:
    """Have the set-user-id helper of the distribution write a map. Raises OSError."""
    try:
        done = subprocess.run(
            [program, str(pid), *map(str, entries)],
            capture_output=True,
            text=True,
            timeout=_MAP_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{program} does not end") from error
    if done.returncode:
        raise OSError(f"{program}: {done.stderr.strip()[:200]}")


def _make_own(folder: Path) -> None:
    """Have a folder that is this user's alone, whoever has made what has its name. Raises OSError.

    Anybody may make names in /dev/shm, and would keep a node of root from its start by that.
    """
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if _is_own(folder):
        return
    if os.geteuid() != 0:
        raise PermissionError(f"{folder} is not this user's own")
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}.aside-"))
    _exchange(folder, aside)
    if _is_own(aside):  # another node was faster: what it claims in stays where it is
        _exchange(folder, aside)
    with contextlib.suppress(OSError):  # what others have filled is left to them
        (aside.rmdir if stat.S_ISDIR(aside.lstat().st_mode) else aside.unlink)()
    if not _is_own(folder):
        raise PermissionError(f"{folder} is not this user's own")


def _exchange(one: Path, other: Path) -> None:
    """Have two files take each other's name, at once. Raises OSError."""
    names = os.fsencode(one), os.fsencode(other)
    if linux.call("renameat2", _AT_FDCWD, names[0], _AT_FDCWD, names[1], _EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one))


def _is_own(folder: Path) -> bool:
    seen = folder.lstat()
    return stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.geteuid() and not seen.st_mode & 0o077


def _claim_block(ids: IdRange) -> tuple[int, int]:
    """Return the number of a block that no other node has, and what keeps it."""
    folder = _CLAIMS / f"casemate-ids-{os.geteuid()}-{ids.uid}"
    try:
        _make_own(folder)
        for block in range(BLOCKS):
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(folder / str(block), flags, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
            else:
                return block, descriptor
    except OSError as error:
        raise ProtectionMissingError(
            f"The node cannot claim user ids for functions: {error}",
            next_step="Check that /dev/shm is a tmpfs that this user can write to.",
        ) from error
    raise ProtectionMissingError(
        f"{BLOCKS} nodes of this host share the ids from {ids.uid} on; there is none left.",
        next_step="Give this node a range of its own: casemate serve --function-ids",
    )
