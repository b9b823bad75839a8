"""Which process of a node is which, and whether it still lives."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process, told from a later one of the same pid by the time it started at."""

    pid: int
    started: str

    @property
    def lives(self) -> bool:
        fields = _stat(self.pid)
        return fields is not None and fields[19] == self.started and fields[0] not in "ZX"


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/pid/stat from the state on (proc_pid_stat(5), field 3)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def process(pid: int) -> Process:
    fields = _stat(pid)
    return Process(pid, fields[19] if fields else "")


def command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def children(pid: int) -> list[int]:
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def part_of(supervisor: int, name: str) -> int | None:
    """Return the pid of a process of a node by the name of its package, if it runs: `vault`."""
    module = f"casemate.{name}.process"
    return next((pid for pid in children(supervisor) if module in command(pid)), None)


def gateway_of(supervisor: int) -> int | None:
    """Return the pid of the gateway."""
    return part_of(supervisor, "gateway")


def _starts_a_sandbox(pid: int) -> bool | None:
    """Tell whether a process is bubblewrap; None if it has ended. It is read once: it may end."""
    words = command(pid)[:1]
    return words[0].endswith("bwrap") if words else None


def bases_of(supervisor: int) -> list[int]:
    """Return the pids of the base zygotes: below each bubblewrap the first that is not one."""
    found = []
    for top in children(supervisor):
        if not _starts_a_sandbox(top):
            continue
        todo = [top]
        while todo:
            pid = todo.pop()
            if _starts_a_sandbox(pid) is False:
                found.append(pid)
            else:
                todo += children(pid)
    return found


def zygotes_of(supervisor: int) -> list[int]:
    """Return the pids of all zygotes, blank ones included: a child of a child of a base."""
    return [
        zygote
        for base in bases_of(supervisor)
        for init in children(base)
        for zygote in children(init)
    ]


def processor_seconds(pid: int) -> float:
    """Return what a process has used of the processor, with those below it that have ended."""
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def memory(pid: int, field: str) -> int:
    """Return a figure of /proc/pid/status, such as VmHWM, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {field}")
