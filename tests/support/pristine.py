"""What there is to see of a process that is set back: memory, registers, and all that the kernel
tells, read by other ways than those of the restorer where there are any.
"""

from __future__ import annotations

import ctypes
import os
import re
import struct
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from casemate.kernel import linux, remote_memory, tracing
from casemate.kernel.machines import X86_64
from casemate.restorer.snapshot import STOP_SECONDS
from support.restored import Restored

_PASSING = re.compile(
    rb"^(?:Vm(?:Peak|HWM|RSS|PTE|Swap)|Rss\w+|\w*voluntary_ctxt_switches):.*\n", re.M
)
"""Lines of `status` that count its use."""
_STAT = (1, 2, 3, 4, 5, 15, 16, 17, 18, 22, 23, 24, 25, 28, 29, 30, 31, 35, 37, 38, *range(42, 49))
"""Fields of `stat` behind its name that do not: from its parent on."""
_FILES = (
    *("limits", "timerslack_ns", "timers", "coredump_filter", "personality", "comm", "cgroup"),
    *("oom_score_adj", "loginuid", "uid_map", "gid_map", "setgroups"),
)
_NAMESPACES = ("mnt", "net", "ipc", "uts", "user", "cgroup", "pid_for_children")
_LINKS = ("cwd", "root", "exe", *(f"ns/{name}" for name in _NAMESPACES))
_PTRACE_RSEQ = 0x420F
"""PTRACE_GET_RSEQ_CONFIGURATION."""
_ASKED: tuple[tuple[Any, ...], ...] = (
    ("sigaltstack", 0, ...),
    *(("getitimer", which, ...) for which in range(3)),
    *(("timer_gettime", number, ...) for number in range(3)),
    *(("prctl", option, ...) for option in (2, 5, 9, 11, 16, 19, 25, 37, 40)),
    *(("prctl", option, 0) for option in (3, 7, 21, 23, 27, 30, 34, 39, 42, 66)),
    *(("arch_prctl", option, ...) for option in (0x1003, 0x1004, 0x1022, 0x5005)),
    *(("fcntl", number, command) for number in range(4) for command in (1, 3, 9, 11)),
    ("personality", 0xFFFFFFFF),
    ("get_mempolicy", ...),
    ("rt_sigpending", ..., 8),
    ("ioprio_get", 1, 0),
    ("getpgid", 0),
    ("getsid", 0),
    ("rt_sigprocmask", 0, 0, ..., 8),
    *(("rt_sigaction", number, 0, ..., 8) for number in range(1, 65)),
    *(
        ("getsockopt", 3, 1, option, ..., -1)
        for option in (2, 6, 7, 8, 9, 12, 13, 16, 18, 20, 21, 42)
    ),
)
"""Calls that it is made to make; `...` is where the answer goes, -1 a pointer to its length."""
_ANSWER = 256


def settle(child: Restored) -> None:
    """Have it stand at home, set back. Raises DiscardError."""
    child._called = False
    child.held.tracee.await_home(STOP_SECONDS)
    child.held.prepare()


def _file(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError as error:
        return str(error.errno).encode()


def _robust_list(pid: int) -> tuple[int, int]:
    head, size = ctypes.c_ulong(), ctypes.c_ulong()
    linux.call("get_robust_list", pid, ctypes.byref(head), ctypes.byref(size))
    return head.value, size.value


def rseq(pid: int) -> tuple[int, ...]:
    """Return where its restartable sequences are registered, their size, signature and flags."""
    told = ctypes.create_string_buffer(24)
    tracing._ptrace(_PTRACE_RSEQ, pid, 24, ctypes.addressof(told))
    return struct.unpack("QIIII", told.raw)


def seen(pid: int) -> dict[str, Any]:
    """Return what is seen from outside of one that is stopped, but for memory."""
    told: dict[str, Any] = {name: _file(pid, name) for name in _FILES}
    folder = Path(f"/proc/{pid}")
    told |= {name: os.readlink(folder / name) for name in _LINKS}
    told["maps"] = _file(pid, "maps")
    told["flags"] = re.findall(
        rb"(?:VmFlags|ProtectionKey|Locked): *(.*)", _file(pid, "smaps").replace(b" sd", b"")
    )
    told["status"] = _PASSING.sub(b"", _file(pid, "status"))
    fields = _file(pid, "stat").rpartition(b") ")[2].split()
    told["stat"] = [fields[place] for place in _STAT]
    told["tasks"] = sorted(one.name for one in (folder / "task").iterdir())
    told["children"] = _file(pid, f"task/{pid}/children")
    told["descriptors"] = {
        one.name: (os.readlink(one), _file(pid, f"fdinfo/{one.name}"))
        for one in sorted((folder / "fd").iterdir())
    }
    told["robust list"], told["rseq"] = _robust_list(pid), rseq(pid)
    told["registers"], told["extended"] = tracing.general_state(pid), tracing.extended(pid)
    told["scheduling"] = [
        os.sched_getscheduler(pid),
        os.getpriority(os.PRIO_PROCESS, pid),
        os.sched_getaffinity(pid),
    ]
    return told


class Pristine:
    """What a process was when its snapshot was taken."""

    def __init__(
        self, child: Restored, during: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        """Take the snapshot, `during` something, and look; it stands at home. DiscardError."""
        self.child = child
        child.held.tracee.await_home(STOP_SECONDS)
        self.asked = ask(child)
        child.held.tracee.flagged = None
        with during():
            settle(child)
        self.seen = seen(child.pid)
        self._memory = {run: self._content(run) for run in self._readable()}

    def _readable(self) -> list[tuple[int, int]]:
        snapshot = self.child.held.snapshot
        assert snapshot is not None
        runs = []
        for line in self.seen["maps"].decode().splitlines():
            start, _, end = line.split()[0].partition("-")
            run = int(start, 16), int(end, 16)
            # Those of the kernel's clock change, what it may drop is zeroed.
            if line.split()[1][0] == "r" and "[v" not in line and run not in snapshot.dropped:
                runs.append(run)
        return runs

    def _content(self, run: tuple[int, int]) -> bytes:
        data = remote_memory.read(self.child.pid, [run])
        own = self.seen["rseq"][0]
        if run[0] <= own < run[1]:  # on which processor it runs
            data[own - run[0] : own - run[0] + 32] = bytes(32)
        return bytes(data)

    def wrong(self, *, writable: bool = False) -> list[str]:
        """Return what is not as it was of one that stands at home, set back.

        `writable`: look only at memory that it can write.
        """
        pid = self.child.pid
        now = seen(pid)
        found = [
            f"{what}: {_difference(was, now[what])}"
            for what, was in self.seen.items()
            if now[what] != was
        ]
        snapshot = self.child.held.snapshot
        assert snapshot is not None
        for run, was in self._memory.items():
            if writable and not any(
                start < run[1] and run[0] < end for start, end in snapshot.ranges
            ):
                continue
            if self._content(run) != was:
                found.append(f"memory at {run[0]:x}")
        for start, end in snapshot.dropped:
            if self.child.held.restored and any(remote_memory.read(pid, [(start, end)])):
                found.append(f"memory that may be dropped, at {start:x}")
        return found

    def wrong_within(self) -> list[str]:
        """Return what it tells of itself that it did not: it cannot be used afterwards."""
        now = ask(self.child)
        return [
            f"{what}: {was} {now[what]}" for what, was in self.asked.items() if now[what] != was
        ]


def _difference(was: Any, now: Any) -> str:
    if isinstance(was, bytes) and b"\n" in was:
        lines = set(was.split(b"\n")) ^ set(now.split(b"\n"))
        return repr(sorted(lines)[:6])
    return f"{was!r:.300} {now!r:.300}"


def ask(child: Restored) -> dict[str, Any]:
    """Have one that stands at home make calls that tell of itself; it stands there again."""
    tracee = child.held.tracee
    assert tracee.home is not None
    home = tracing.General.of(tracee.home)
    place = (home.rsp - 16384) & ~4095
    told: dict[str, Any] = {}
    for name, *arguments in _ASKED:
        if name not in X86_64.calls:
            continue
        blank = bytearray(_ANSWER)
        blank[_ANSWER - 8 :] = (64).to_bytes(8, "little")
        remote_memory.write(child.pid, [(place, place + _ANSWER)], blank)
        given = [
            place if one is ... else place + _ANSWER - 8 if one == -1 else one for one in arguments
        ]
        result = tracee.make(home, X86_64.calls[name], *given, *[0] * (6 - len(given)))
        answer = (
            bytes(remote_memory.read(child.pid, [(place, place + 64)])) if ... in arguments else b""
        )
        told[f"{name}{tuple(arguments)}"] = result, answer.hex()
    tracee.return_home(home)
    return told
