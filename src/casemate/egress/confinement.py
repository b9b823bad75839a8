"""What the egress process may still do: resolve names, connect and accept by TCP, start threads.

The filter is `seccomp.egress_program`. Landlock, where the kernel has it, lets the process read
what name resolution and the interpreter need, write and bind nothing, and signal nobody else.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from casemate.kernel import landlock, linux, seccomp

_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_NET_BIND, _ABSTRACT_SOCKETS_AND_SIGNALS = 1, 3
_READABLE = (
    "/etc",
    "/usr",
    "/lib",
    "/lib64",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/run/connman",
)
"""Where the files of name resolution and the libraries that do it are."""


def _restrict_files() -> None:
    abi = linux.landlock_abi()
    if not abi:
        return
    ruleset = linux.landlock_create(
        landlock.handled_files(abi),
        _NET_BIND if abi >= 4 else 0,
        _ABSTRACT_SOCKETS_AND_SIGNALS if abi >= 6 else 0,
        abi,
    )
    own = (sys.prefix, sys.base_prefix, str(Path(__file__).resolve().parents[2]))
    for folder in (*_READABLE, *own):
        # Not there, or not for this uid: then there is nothing to allow either.
        with contextlib.suppress(PermissionError, FileNotFoundError, NotADirectoryError):
            descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            linux.landlock_allow(ruleset, descriptor, _READ_FILE | _READ_DIR)
            os.close(descriptor)
    linux.landlock_restrict(ruleset)
    os.close(ruleset)


def confine(uid: int | None) -> None:
    """Give up every right for good. Raises OSError if the kernel does not do it.

    To be called before the process has threads: Landlock holds for the calling one and its
    descendants.
    """
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    # Only now: the kernel forgets this with a change of uid (prctl(2)).
    linux.die_with_parent()
    linux.set_no_new_privileges()
    linux.drop_capabilities(bounding=False)
    linux.set_not_dumpable()
    _restrict_files()
    linux.install_filter(seccomp.egress_program())
