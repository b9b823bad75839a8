"""What a process of ours gives up for good: declared once for each, put in place in one order."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
from collections.abc import Callable, Mapping
from enum import StrEnum

import msgspec

from casemate.child.proof import Held, Witness, require_confined
from casemate.kernel import landlock, linux, seccomp

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_OWN_FOLDER = 1 << 1 | _READ_FILE | _READ_DIR | 1 << 5 | 1 << 8 | 1 << 14
"""Write, read, list, remove and make files, truncate."""
_FOLDERS = 1 << 4 | 1 << 7 | 1 << 13
"""Remove and make folders, and move between them."""
_BIND, _CONNECT = 1, 2
"""LANDLOCK_ACCESS_NET_BIND_TCP and LANDLOCK_ACCESS_NET_CONNECT_TCP: handled; the one is never
allowed, the other to ports that are declared."""
_SCOPES = 3
"""Abstract unix sockets and signals, of and to processes outside."""


class SystemCalls(StrEnum):
    """Which filter a process puts on itself."""

    OFFLINE = "offline"
    """It has the sockets it was given, and makes none."""
    ACCEPTING = "accepting"
    """It also accepts connections from listeners it was given."""
    INTERNET = "internet"
    """It also connects, and accepts from listeners it was given, by the internet's protocols."""


_PROGRAMS: Mapping[SystemCalls, Callable[[], bytes]] = {
    SystemCalls.OFFLINE: seccomp.offline_program,
    SystemCalls.ACCEPTING: seccomp.accepting_program,
    SystemCalls.INTERNET: seccomp.egress_program,
}


class Confinement(msgspec.Struct, frozen=True, kw_only=True):
    """What one kind of process may still do. None may start a program or gain a privilege."""

    system_calls: SystemCalls
    connects: tuple[int, ...] | None = None
    """Ports that it connects to by TCP, where the kernel can tell (Landlock); None: any."""
    reads: tuple[str, ...] = ()
    """Folders whose files it reads, where they are there and its user may."""
    makes_folders: bool = False
    """True lets it make and remove folders in its own one, too."""
    memory: int | None = None
    """Bytes that it may hold (RLIMIT_DATA)."""
    locks_memory: bool = False
    """True keeps its memory out of swap if the host lets it."""
    dies_with_parent: bool = True
    """True for one that is started by the thread that lives as long as the node."""


def forbid_dumps() -> None:
    """No core dump, no ptrace, no `/proc/PID/mem` for others of this user. Raises OSError."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    linux.set_not_dumpable()


def confine(declared: Confinement, *, uid: int | None, folder: int | None = None) -> Held:
    """Give up every right but what is declared and files in the open folder `folder`, for good.

    Returns what the kernel says is left. Raises OSError if it does not do any of it, but for the
    locking of memory. To be called before the process has threads: Landlock holds for the calling
    one and its descendants.
    """
    with Witness() as witness:
        lockable = declared.locks_memory and _raise_lock_limit()
        if declared.memory is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (declared.memory, declared.memory))
        if uid is not None:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        # Only now: the kernel forgets these with a change of uid (prctl(2)).
        if declared.dies_with_parent:
            linux.die_with_parent()
        linux.set_no_new_privileges()
        linux.drop_capabilities(bounding=False)
        forbid_dumps()
        locked = lockable and _lock_memory()
        abi = linux.landlock_abi()
        if abi:
            _restrict_files(declared, folder, abi)
        linux.install_filter(_PROGRAMS[declared.system_calls]())
        held = witness.held(memory_locked=locked)
    require_confined(held, uid, landlock=abi > 0)
    return held


def _raise_lock_limit() -> bool:
    """Allow any amount of locked memory; a limit would fail allocations later on."""
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, unlimited)
    except (OSError, ValueError):
        return resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY
    return True


def _lock_memory() -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    # As pages are first touched: the whole address space would be many times as much.
    return bool(libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0)


def _restrict_files(declared: Confinement, folder: int | None, abi: int) -> None:
    """Allow what is declared to be read, and the files in `folder` (Landlock)."""
    handled = landlock.handled_files(abi)
    anywhere = declared.system_calls is SystemCalls.INTERNET and declared.connects is None
    network = _BIND if anywhere else _BIND | _CONNECT
    ruleset = linux.landlock_create(
        handled, network if abi >= 4 else 0, _SCOPES if abi >= 6 else 0, abi
    )
    try:
        if folder is not None:
            own = _OWN_FOLDER | (_FOLDERS if declared.makes_folders else 0)
            linux.landlock_allow(ruleset, folder, own & handled)
        for port in declared.connects or () if abi >= 4 else ():
            linux.landlock_allow_port(ruleset, port, _CONNECT)
        for path in declared.reads:
            # Not there, or not for this uid: then there is nothing to allow either.
            with contextlib.suppress(PermissionError, FileNotFoundError, NotADirectoryError):
                descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    linux.landlock_allow(ruleset, descriptor, _READ_FILE | _READ_DIR)
                finally:
                    os.close(descriptor)
        linux.landlock_restrict(ruleset)
    finally:
        os.close(ruleset)
