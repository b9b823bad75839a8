"""Limits that fit what a function has used: proposals, each with why, and what it saves.

From the peaks that were recorded, with room above them. Nothing is proposed from too little, nor
where what there is fits. The sums of hours tell no peak of what runs at once, nor of the CPU, of
which a call that waits uses little: both are of the records of single calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec

from casemate.metering.prices import Prices
from casemate.model.function import Fresh, FunctionSpec, Isolation
from casemate.model.invocation import InvocationRecord, Outcome
from casemate.model.usage import Usage, add

LEAST_REQUESTS = 100
"""Fewer say nothing of what may come."""
_MIB = 1 << 20
_MEMORY_ROOM, _MEMORY_STEP, _LEAST_MEMORY = 1.5, 16 * _MIB, 32 * _MIB
_TIME_ROOM, _LEAST_TIME = 3.0, 1.0
_BURST_ROOM = 2
"""How many times the most that ran at once may: the places of those that ended are cleared yet."""
_CPU_ROOM = 2.0
_CPU_PERIOD = 0.1
"""Seconds in which a process may use its share of the CPU at once, before it has to wait: what
needs no more in all is never slowed, however it is spread over the call."""
_WORTH = 0.8
"""A proposal that is not below so much of what there is, is none."""
_STEPS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)


class Proposal(NamedTuple):
    """One setting of the manifest that could be another."""

    setting: str
    now: str
    proposed: str
    why: str
    saves: Decimal = Decimal()
    """Of what that time cost; 0 where it costs nothing."""


class Peaks(NamedTuple):
    """The most that single calls used of what the sums of hours do not tell."""

    at_once: int
    """Calls of the function that waited for a process or had one."""
    cpu_us: int
    """Microseconds of the CPU of one call."""
    throttled: bool
    """Whether any was refused, as there was no place for it."""


def peaks_of(records: Iterable[InvocationRecord], requests: int) -> Peaks | None:
    """Return the peaks of calls; None where less than so many that ran are among the records.

    Then the busiest may be among those that are missing.
    """
    changes: list[tuple[float, int]] = []
    ran = cpu_us = 0
    throttled = False
    for each in records:
        throttled = throttled or each.outcome is Outcome.THROTTLED
        if each.run_ms <= 0:
            continue
        ran += 1
        cpu_us = max(cpu_us, each.cpu_us)
        ended = each.started_at + (each.queued_ms + each.run_ms) / 1000
        changes += ((each.started_at, 1), (ended, -1))
    if ran < requests:
        return None
    most = running = 0
    for _at, change in sorted(changes):
        running += change
        most = max(most, running)
    return Peaks(most, cpu_us, throttled)


def requests_of(hours: Iterable[Usage]) -> int:
    """Return how many calls ran."""
    return sum(hour.requests for hour in hours)


def tune(
    spec: FunctionSpec, hours: Sequence[Usage], prices: Prices, peaks: Peaks | None
) -> tuple[Proposal, ...]:
    """Return what could be set otherwise, by the hours of some days. Empty: nothing, or unknown.

    `peaks` are of the same days; without them neither less CPU nor less concurrency is proposed.
    """
    whole = Usage()
    for hour in hours:
        add(whole, hour)
    if whole.requests < LEAST_REQUESTS:
        return ()
    found = (
        _memory(spec, whole, prices),
        _cpu(spec, whole, peaks),
        _timeout(spec, whole),
        _concurrency(spec, peaks),
        _isolation(spec),
    )
    return tuple(each for each in found if each is not None)


def _restored(spec: FunctionSpec) -> bool:
    """Tell whether a process may have calls of which the peak of memory is not known.

    It is read where a call has a process of its own: of those that are restored, of the first one.
    """
    return spec.isolation is Isolation.REQUEST and spec.fresh is Fresh.RESTORED


def _memory(spec: FunctionSpec, whole: Usage, prices: Prices) -> Proposal | None:
    now = spec.limits.memory
    if not whole.peak:
        return None
    wanted = max(_LEAST_MEMORY, int(whole.peak * _MEMORY_ROOM))
    wanted = -(-wanted // _MEMORY_STEP) * _MEMORY_STEP
    why = f"no process held more than {whole.peak / _MIB:.1f} MB"
    if wanted > now and whole.peak > now * 0.9:
        return Proposal("limits.memory", _mb(now), _mb(wanted), f"{why}, which is nearly all")
    if wanted > now * _WORTH or _restored(spec):
        return None
    less = msgspec.structs.replace(whole, memory_mb_ms=whole.memory_mb_ms * wanted // now)
    saves = prices.cost(whole) - prices.cost(less)
    return Proposal("limits.memory", _mb(now), _mb(wanted), why, saves)


def _cpu(spec: FunctionSpec, whole: Usage, peaks: Peaks | None) -> Proposal | None:
    now, share = spec.limits.cpu, whole.cpu_us / max(1, whole.run_us)
    if share > 0.9 * now:
        wanted = next((step for step in _STEPS if step > now), None)
        if wanted is None:
            return None
        why = f"its calls use {share:.2f} cores all of their time: they wait for more"
        return Proposal("limits.cpu", f"{now:g}", f"{wanted:g}", why)
    # A process that is used again has less of a period left for the next call.
    if peaks is None or not peaks.cpu_us or spec.isolation is not Isolation.REQUEST:
        return None
    most = peaks.cpu_us / 1e6
    wanted = next((step for step in _STEPS if step * _CPU_PERIOD >= most * _CPU_ROOM), now)
    if wanted > now * _WORTH:
        return None
    why = f"no call used more than {most * 1000:.3g} ms of the CPU: so few are not slowed"
    return Proposal("limits.cpu", f"{now:g}", f"{wanted:g}", why)


def _timeout(spec: FunctionSpec, whole: Usage) -> Proposal | None:
    now, longest = spec.limits.timeout, whole.longest_us / 1e6
    wanted = max(_LEAST_TIME, float(-(-longest * _TIME_ROOM // 1)))
    if wanted > now * _WORTH:
        return None
    why = f"no call took longer than {longest:.3g} s: one that hangs is billed until it is ended"
    return Proposal("limits.timeout", f"{now:g}s", f"{wanted:g}s", why)


def _concurrency(spec: FunctionSpec, peaks: Peaks | None) -> Proposal | None:
    now = spec.limits.concurrency
    if peaks is None or peaks.throttled:
        return None
    wanted = max(2, peaks.at_once * _BURST_ROOM)
    if wanted > now * _WORTH:
        return None
    why = f"never more than {peaks.at_once} were there at once: more is what an attack has"
    return Proposal("limits.concurrency", str(now), str(wanted), why)


def _isolation(spec: FunctionSpec) -> Proposal | None:
    if spec.isolation is Isolation.REQUEST and spec.fresh is Fresh.PROCESS:
        why = "a process that is restored is as fresh as one that is forked, and costs less"
        return Proposal("fresh", Fresh.PROCESS.value, Fresh.RESTORED.value, why)
    return None


def _mb(size: int) -> str:
    return f"{size / _MIB:g}MB"
