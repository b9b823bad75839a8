"""Ends what a killed node has left of a base zygote that was just starting.

bubblewrap's child ends with its parent only once it has said so to the kernel (prctl(2),
PR_SET_PDEATHSIG), which it does after its user namespace was mapped. If the node is killed in these
milliseconds it waits for the mapping for ever, and nobody else knows of it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from casemate.sandbox.base_process import BOOT

_PROC = Path("/proc")
_MOST_BYTES = 64 * 1024


def end_orphans() -> int:
    """End these processes, of any node whose processes this one may end; return how many."""
    ended = 0
    for entry in os.scandir(_PROC):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if entry.name.isdigit() and _is_orphan(entry.name):
                handle = os.pidfd_open(int(entry.name))
                try:
                    if _is_orphan(entry.name):  # and not another one of that number by now
                        signal.pidfd_send_signal(handle, signal.SIGKILL)
                        ended += 1
                finally:
                    os.close(handle)
    return ended


def _is_orphan(pid: str) -> bool:
    """Tell whether it is the first process of a sandbox, and bubblewrap is not there any more."""
    if _read(pid, "comm") != b"bwrap\n" or not _is_of_base(pid):
        return False
    status = dict(line.split(b":", 1) for line in _read(pid, "status").splitlines())
    # bubblewrap itself is in the namespace of whoever looks: one number.
    inside = status[b"NSpid"].split()
    return len(inside) > 1 and inside[-1] == b"1" and not _is_of_base(status[b"PPid"].decode())


def _is_of_base(pid: str) -> bool:
    return BOOT.encode() in _read(pid.strip(), "cmdline").split(b"\0")


def _read(pid: str, name: str) -> bytes:
    with (_PROC / pid / name).open("rb") as file:
        return file.read(_MOST_BYTES)
