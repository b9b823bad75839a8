"""What each kind of process of a node has used: processor time, wake-ups, page faults.

Also by two rates of calls: what comes with each call, and what with each second.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from bench.client import Connection, Endpoint, encode, event, is_right
from bench.errors import WrongAnswerError
from bench.processes import ProcessId, spent, tree
from bench.roles import role_of

_WAITED, _PREEMPTED = "voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"


class Used(NamedTuple):
    """What processes have used since they began."""

    seconds: float = 0.0
    """On a processor, in hundredths; those of ended processes that were waited for included."""
    waits: float = 0
    """How often a thread has waited, and so was woken; of processes that live at the end."""
    preempted: float = 0
    """How often a thread had to leave the processor to another; likewise."""
    faults: float = 0
    """Page faults that read nothing from a disk; those of ended processes included."""

    def plus(self, other: Used) -> Used:
        """Return the sum of both."""
        return Used(*(one + two for one, two in zip(self, other, strict=True)))

    def since(self, other: Used) -> Used:
        """Return what was used after the other."""
        return Used(*(one - two for one, two in zip(self, other, strict=True)))

    def by(self, number: float) -> Used:
        """Return one of so many equal parts."""
        return Used(*(one / number for one in self))


NONE = Used()


class Process(NamedTuple):
    """One process at a moment."""

    role: str
    used: Used


ByProcess = Mapping[ProcessId, Process]


def used(root: int) -> dict[ProcessId, Process]:
    """Return what each of a node's processes has used; those that end meanwhile are left out."""
    found = {}
    for identity in tree(root):
        folder = Path(f"/proc/{identity.pid}")
        try:
            role = role_of((folder / "cmdline").read_bytes())
            stat = (folder / "stat").read_text("utf-8", "replace")
            waits, preempted = _switches(folder)
        except OSError:
            continue
        fields = stat[stat.rindex(")") + 2 :].split()
        faults = int(fields[7]) + int(fields[8])
        one = Used(spent(stat, children=True), waits, preempted, faults)
        found[identity] = Process(role, one)
    return found


def between(before: ByProcess, after: ByProcess, parts: float = 1) -> dict[str, Used]:
    """Return what was used by each role between the two, as one of so many parts.

    What an ended process has used until `before` is in what its parent has after it, but for how
    often it has waited: that is gone with it, and must not be taken off what others did.
    """
    found: defaultdict[str, Used] = defaultdict(Used)
    for identity, (role, one) in after.items():
        known = before.get(identity)
        found[role] = found[role].plus(one if known is None else one.since(known.used))
    for identity in before.keys() - after.keys():
        role, ended = before[identity]
        found[role] = found[role].since(ended._replace(waits=0, preempted=0))
    return {role: one.by(parts) for role, one in found.items()}


def sum_of(every: Iterable[Used]) -> Used:
    """Return the sum of all."""
    total = NONE
    for one in every:
        total = total.plus(one)
    return total


def _switches(folder: Path) -> tuple[int, int]:
    """Return how often the threads of a process have waited, and were preempted."""
    waits = preempted = 0
    for task in (folder / "task").iterdir():
        for line in (task / "status").read_text("utf-8", "replace").splitlines():
            if line.startswith(_WAITED):
                waits += int(line.split()[1])
            elif line.startswith(_PREEMPTED):
                preempted += int(line.split()[1])
    return waits, preempted


def paced(endpoint: Endpoint, per_second: float, seconds: float) -> int:
    """Call at a steady rate over one connection; return how often. Raises WrongAnswerError.

    Late calls follow at once, so that there are as many in all, if the node bears the rate.
    """
    request = encode(endpoint, event(0))
    connection = Connection(endpoint)
    begun, calls = time.monotonic(), 0
    try:
        while (now := time.monotonic() - begun) < seconds:
            if now < calls / per_second:
                time.sleep(calls / per_second - now)
            reply = connection.exchange(request)
            if not is_right(reply, 0):
                raise WrongAnswerError(f"A call was answered with {reply.status}.")
            calls += 1
    finally:
        connection.close()
    return calls


class Cost(NamedTuple):
    """What calls and time cost, in microseconds."""

    by_call: float
    by_second: float


def cost(one: tuple[float, float], other: tuple[float, float]) -> Cost:
    """Return what two rates tell, each as calls and microseconds of one second.

    Raises ValueError where they are the same.
    """
    if one[0] == other[0]:
        raise ValueError("two rates that are the same")
    by_call = (other[1] - one[1]) / (other[0] - one[0])
    return Cost(by_call, one[1] - by_call * one[0])
