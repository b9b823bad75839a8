"""The Landlock ruleset of an instance (Documentation/userspace-api/landlock.rst)."""

from __future__ import annotations

import os
from collections.abc import Sequence

from . import linux

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK, _IOCTL_DEVICE = 1 << 6, 1 << 11, 1 << 15
_NET_CONNECT = 1 << 1
_NET_BIND_CONNECT = 1 << 0 | _NET_CONNECT
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 3


def handled_files(abi: int) -> int:
    """Return every file access right the kernel's ABI knows: what is not allowed is denied."""
    bits = 13 if abi == 1 else 14 if abi == 2 else 15 if abi < 5 else 16
    return (1 << bits) - 1


class Restriction:
    """Denies a process everything but reading its root, writing its own /tmp, and given ports.

    Network rights are handled from ABI 4 on, signals and abstract sockets from ABI 6 on; below
    that the namespaces alone hold. Made in the zygote, applied in each instance.
    """

    def __init__(self, abi: int, ports: Sequence[int] = ()) -> None:
        """Open the root and /dev, which holds the four devices of `runner/root.py` only.

        `ports` are those of the listeners that lead out of the function's network namespace: TCP
        connects to no other.
        """
        self._abi = abi
        self._ports = tuple(ports)
        self._handled = handled_files(abi)
        self._private = self._handled & ~(_EXECUTE | _MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEVICE)
        self._root = os.open("/", os.O_PATH | os.O_CLOEXEC)
        self._devices = os.open("/dev", os.O_PATH | os.O_CLOEXEC)

    def prepare(self, tmpfs: int) -> int:
        """Return a ruleset for an instance whose /tmp is the mount `tmpfs`. Raises OSError."""
        network = _NET_BIND_CONNECT if self._abi >= 4 else 0
        scoped = _SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS if self._abi >= 6 else 0
        ruleset = linux.landlock_create(self._handled, network, scoped, self._abi)
        linux.landlock_allow(ruleset, self._root, _READ_FILE | _READ_DIR)
        linux.landlock_allow(ruleset, self._devices, _READ_FILE | _WRITE_FILE)
        linux.landlock_allow(ruleset, tmpfs, self._private)
        if network:
            for port in self._ports:
                linux.landlock_allow_port(ruleset, port, _NET_CONNECT)
        return ruleset

    def close(self) -> None:
        """Close what was opened for it."""
        os.close(self._root)
        os.close(self._devices)

    def apply(self, tmpfs: int) -> None:
        """Restrict this process for good and close what was open for it. Raises OSError."""
        ruleset = self.prepare(tmpfs)
        linux.landlock_restrict(ruleset)
        os.close(ruleset)
        self.close()
