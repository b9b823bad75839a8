"""Process trees: find them, weigh them, end them."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from bench.errors import MemoryUnreadableError

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_TICK = 1 / os.sysconf("SC_CLK_TCK")
_libc = ctypes.CDLL(None, use_errno=True)


class ProcessId(msgspec.Struct, frozen=True):
    """A process for sure: the number alone may be used again once the process is gone."""

    pid: int
    started: int
    """Clock ticks after boot, field 22 of proc(5) /proc/PID/stat."""


def _stat(pid: int) -> tuple[int, ProcessId, str] | None:
    """Return the parent, identity and state of a process, or None if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return int(fields[1]), ProcessId(pid, int(fields[19])), fields[0]


def spent(stat: str, *, children: bool) -> float:
    """Return the seconds on a processor that /proc/PID/stat tells, with those of ended children."""
    fields = stat[stat.rindex(")") + 2 :].split()
    return sum(int(one) for one in fields[11 : 15 if children else 13]) * _TICK


def descendants(root: int) -> list[ProcessId]:
    """Return all living processes below `root`, without `root` itself and without zombies."""
    children: dict[int, list[ProcessId]] = {}
    dead: set[int] = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (found := _stat(int(entry))):
            parent, identity, state = found
            children.setdefault(parent, []).append(identity)
            if state in "ZX":
                dead.add(identity.pid)
    below: list[ProcessId] = []
    waiting = list(children.get(root, ()))
    while waiting:
        identity = waiting.pop()
        below.append(identity)
        waiting += children.get(identity.pid, ())
    return [identity for identity in below if identity.pid not in dead]


def tree(root: int) -> list[ProcessId]:
    """Return `root`, if it lives, and all living processes below it."""
    found = _stat(root)
    return ([found[1]] if found and found[2] not in "ZX" else []) + descendants(root)


def pss(processes: Iterable[ProcessId]) -> int:
    """Return the sum of the proportional set sizes, in bytes (proc(5), smaps_rollup).

    A process that ends meanwhile counts nothing. Raises MemoryUnreadableError if one may not be
    read: a sum without it would flatter its target.
    """
    total = 0
    for identity in processes:
        try:
            text = Path(f"/proc/{identity.pid}/smaps_rollup").read_text("ascii")
        except (FileNotFoundError, ProcessLookupError):
            continue
        except PermissionError as error:
            raise MemoryUnreadableError(
                f"smaps_rollup of process {identity.pid} may not be read.",
                next_step="Run the benchmarks as root to measure memory.",
            ) from error
        for line in text.splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def alive(identity: ProcessId) -> bool:
    """Tell whether this very process still runs (a zombie does not)."""
    found = _stat(identity.pid)
    return found is not None and found[1] == identity and found[2] not in "ZX"


def kill(processes: Iterable[ProcessId], wait: float = 3.0) -> None:
    """Send SIGKILL to those that still live and wait until they are gone."""
    left = [identity for identity in processes if alive(identity)]
    for identity in left:
        try:
            os.kill(identity.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    end = time.monotonic() + wait
    while any(alive(identity) for identity in left) and time.monotonic() < end:
        time.sleep(0.01)


def adopt_orphans() -> None:
    """Make orphans below this process its children (prctl(2)), so that none escapes unseen."""
    if _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def end_with_parent() -> None:
    """Ask the kernel to end this process when its parent dies; run between fork and exec."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def clear_leftovers() -> int:
    """Kill whatever still runs below this process; return how many there were."""
    left = descendants(os.getpid())
    kill(left)
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                break
        except ChildProcessError:
            break
    return len(left)
