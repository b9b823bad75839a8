"""What the vault gives up once it has read the master key and opened its folder."""

from __future__ import annotations

import ctypes
import os
import resource

from casemate.kernel import landlock, linux, seccomp

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_LANDLOCK_NETWORK = 3
"""LANDLOCK_ACCESS_NET_BIND_TCP and LANDLOCK_ACCESS_NET_CONNECT_TCP: handled, never allowed."""
_LANDLOCK_SCOPES = 3
"""Abstract unix sockets and signals, of and to processes outside."""
_LANDLOCK_FILES = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 8 | 1 << 14
"""Write, read, list, remove and make files, truncate."""


def forbid_dumps() -> None:
    """No core dump, no ptrace, no `/proc/PID/mem` for others of this user. Raises OSError."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    linux.set_not_dumpable()


def confine(folder: int, uid: int | None) -> bool:
    """Keep access to the open folder `folder` and to nothing else, for good.

    Returns whether memory is locked, so that no key reaches swap. Raises OSError if the kernel
    does not do any of the rest.
    """
    lockable = _raise_lock_limit()
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    linux.set_no_new_privileges()
    linux.drop_capabilities(bounding=False)
    # Again: the kernel forgets it with a change of uid (prctl(2)).
    forbid_dumps()
    locked = lockable and _lock_memory()
    _restrict_files(folder)
    linux.install_filter(seccomp.offline_program())
    return locked


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


def _restrict_files(folder: int) -> None:
    """Allow files in `folder` only (Landlock), where the kernel has it."""
    abi = linux.landlock_abi()
    if not abi:
        return
    handled = landlock.handled_files(abi)
    network = _LANDLOCK_NETWORK if abi >= 4 else 0
    ruleset = linux.landlock_create(handled, network, _LANDLOCK_SCOPES if abi >= 6 else 0, abi)
    try:
        linux.landlock_allow(ruleset, folder, _LANDLOCK_FILES & handled)
        linux.landlock_restrict(ruleset)
    finally:
        os.close(ruleset)
