"""What the kernel says that a process still holds, and the refusal of one that holds too much.

That a call to give something up did not fail is not taken for a proof: a filter from outside may
have answered it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from types import TracebackType

import msgspec

_STATUS = "/proc/self/status"
_STATUS_BYTES = 64 * 1024
_CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapAmb")
_PR_GET_DUMPABLE = 3
_FILTER = "2"
"""SECCOMP_MODE_FILTER."""
Ids = tuple[int, int, int, int]


class UnconfinedError(OSError):
    """A process holds what it should have given up."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What a process holds."""

    users: Ids
    """Real, effective, saved and file system."""
    groups: Ids
    others: tuple[int, ...]
    """Supplementary groups."""
    capabilities: int
    """Of every set but the bounding one."""
    no_new_privileges: bool
    dumpable: bool
    filtered: bool
    """Whether the filter of system calls answers as ours does."""
    sees_files: bool
    """Whether the root folder can be listed, which Landlock allows none of ours."""
    memory_locked: bool = False
    """Whether no page of it reaches swap."""


class Witness:
    """Asks the kernel about this process; open before its files are out of reach."""

    def __init__(self) -> None:
        """Open the kernel's account of this process. Raises OSError."""
        self._status = os.open(_STATUS, os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self) -> Witness:
        """Return the witness."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close what was opened."""
        os.close(self._status)

    def held(self, *, memory_locked: bool) -> Held:
        """Return what this process holds now. Raises OSError."""
        text = os.pread(self._status, _STATUS_BYTES, 0).decode("ascii", "replace")
        lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        capabilities = 0
        for name in _CAPABILITIES:
            capabilities |= int(lines[name], 16)
        users, groups = (_ids(lines[name]) for name in ("Uid", "Gid"))
        return Held(
            users=users,
            groups=groups,
            others=tuple(map(int, lines["Groups"].split())),
            capabilities=capabilities,
            no_new_privileges=lines["NoNewPrivs"].strip() == "1",
            dumpable=ctypes.CDLL(None).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) != 0,
            filtered=lines["Seccomp"].strip() == _FILTER and _refuses_unix_sockets(),
            sees_files=_lists_root(),
            memory_locked=memory_locked,
        )


def _ids(text: str) -> Ids:
    real, effective, saved, files = map(int, text.split())
    return real, effective, saved, files


def _refuses_unix_sockets() -> bool:
    """Tell a filter of ours, which lets no process of ours make one, from that of a container."""
    try:
        socket.socket(socket.AF_UNIX).close()
    except OSError as error:
        return error.errno == errno.EAFNOSUPPORT
    return False


def _lists_root() -> bool:
    try:
        os.close(os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    except PermissionError:
        return False
    return True


def require_confined(held: Held, uid: int | None, *, landlock: bool, keeps: int = 0) -> None:
    """Refuse a process that holds more than it should. Raises UnconfinedError with what it is.

    `uid` is who it should be, None for whoever started it; `landlock` whether this kernel has it;
    `keeps` the one capability, as a mask, that it is there to use.
    """
    problems = []
    if held.capabilities & ~keeps:
        problems.append(f"it has the capabilities {held.capabilities:#x}")
    if not held.no_new_privileges:
        problems.append("it may gain privileges")
    if held.dumpable:
        problems.append("its memory can be read by others")
    if not held.filtered:
        problems.append("its system calls are not filtered")
    if landlock and held.sees_files:
        problems.append("it sees files")
    if uid is not None and {*held.users, *held.groups} != {uid}:
        problems.append(f"it is not user and group {uid} alone")
    if uid is not None and held.others:
        problems.append("it has groups besides its own")
    if problems:
        raise UnconfinedError(errno.EPERM, "the kernel says that " + "; ".join(problems))
