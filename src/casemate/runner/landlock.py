"""The Landlock ruleset of an instance (Documentation/userspace-api/landlock.rst)."""

from __future__ import annotations

import os

from . import linux

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK, _IOCTL_DEVICE = 1 << 6, 1 << 11, 1 << 15
_NET_BIND_CONNECT = 3
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 3
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


def _handled_files(abi: int) -> int:
    """Return every file access right the kernel's ABI knows: what is not allowed is denied."""
    bits = 13 if abi == 1 else 14 if abi == 2 else 15 if abi < 5 else 16
    return (1 << bits) - 1


def restrict(abi: int) -> None:
    """Deny this process everything but reading its root and writing its /tmp.

    Network rights are handled from ABI 4 on, signals and abstract sockets from ABI 6 on; below
    that the namespaces alone hold. Raises OSError if the kernel refuses any step.
    """
    handled = _handled_files(abi)
    ruleset = linux.landlock_create(
        handled,
        _NET_BIND_CONNECT if abi >= 4 else 0,
        _SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS if abi >= 6 else 0,
        abi,
    )
    try:
        linux.landlock_allow(ruleset, "/", _READ_FILE | _READ_DIR)
        for device in _DEVICES:
            linux.landlock_allow(ruleset, device, _READ_FILE | _WRITE_FILE)
        private = handled & ~(_EXECUTE | _MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEVICE)
        linux.landlock_allow(ruleset, "/tmp", private)  # noqa: S108
        linux.landlock_restrict(ruleset)
    finally:
        os.close(ruleset)
