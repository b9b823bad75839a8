"""Limits that fit what a function has used: proposals, each with why, and what it saves.

From the peaks that were recorded, with room above them. Nothing is proposed from too little, nor
where what there is fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec

from casemate.metering.prices import Prices
from casemate.model.function import Fresh, FunctionSpec, Isolation
from casemate.model.usage import Usage, add

LEAST_REQUESTS = 100
"""Fewer say nothing of what may come."""
_MIB = 1 << 20
_MEMORY_ROOM, _MEMORY_STEP, _LEAST_MEMORY = 1.5, 16 * _MIB, 32 * _MIB
_TIME_ROOM, _LEAST_TIME = 3.0, 1.0
_BUSY_ROOM = 4.0
"""How many times the mean of its busiest hour may run at once: hours have minutes of their own."""
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


def tune(spec: FunctionSpec, hours: Sequence[Usage], prices: Prices) -> tuple[Proposal, ...]:
    """Return what could be set otherwise, by the hours of some days. Empty: nothing, or unknown."""
    whole = Usage()
    for hour in hours:
        add(whole, hour)
    if whole.requests < LEAST_REQUESTS:
        return ()
    found = (
        _memory(spec, whole, prices),
        _cpu(spec, whole),
        _timeout(spec, whole),
        _concurrency(spec, hours),
        _isolation(spec),
    )
    return tuple(each for each in found if each is not None)


def _memory(spec: FunctionSpec, whole: Usage, prices: Prices) -> Proposal | None:
    now = spec.limits.memory
    if not whole.peak:
        return None
    wanted = max(_LEAST_MEMORY, int(whole.peak * _MEMORY_ROOM))
    wanted = -(-wanted // _MEMORY_STEP) * _MEMORY_STEP
    why = f"no process held more than {whole.peak / _MIB:.1f} MB"
    if wanted > now and whole.peak > now * 0.9:
        return Proposal("limits.memory", _mb(now), _mb(wanted), f"{why}, which is nearly all")
    if wanted > now * _WORTH:
        return None
    less = msgspec.structs.replace(whole, memory_mb_ms=whole.memory_mb_ms * wanted // now)
    saves = prices.cost(whole) - prices.cost(less)
    return Proposal("limits.memory", _mb(now), _mb(wanted), why, saves)


def _cpu(spec: FunctionSpec, whole: Usage) -> Proposal | None:
    now, share = spec.limits.cpu, whole.cpu_us / max(1, whole.run_us)
    if share > 0.9 * now:
        wanted = next((step for step in _STEPS if step > now), None)
        if wanted is None:
            return None
        why = f"its calls use {share:.2f} cores all of their time: they wait for more"
        return Proposal("limits.cpu", f"{now:g}", f"{wanted:g}", why)
    wanted = next((step for step in _STEPS if step >= share * 2), now)
    if wanted > now * _WORTH or share > 0.25:
        return None
    return Proposal("limits.cpu", f"{now:g}", f"{wanted:g}", f"its calls use {share:.2f} cores")


def _timeout(spec: FunctionSpec, whole: Usage) -> Proposal | None:
    now, longest = spec.limits.timeout, whole.longest_us / 1e6
    wanted = max(_LEAST_TIME, float(-(-longest * _TIME_ROOM // 1)))
    if wanted > now * _WORTH:
        return None
    why = f"no call took longer than {longest:.3g} s: one that hangs is billed until it is ended"
    return Proposal("limits.timeout", f"{now:g}s", f"{wanted:g}s", why)


def _concurrency(spec: FunctionSpec, hours: Sequence[Usage]) -> Proposal | None:
    now = spec.limits.concurrency
    busiest = max(hour.run_us for hour in hours) / 3600 / 1e6
    wanted = max(2, int(busiest * _BUSY_ROOM) + 1)
    if wanted > now * _WORTH:
        return None
    why = f"in its busiest hour {busiest:.2g} ran at once, in the mean: more is what an attack has"
    return Proposal("limits.concurrency", str(now), str(wanted), why)


def _isolation(spec: FunctionSpec) -> Proposal | None:
    if spec.isolation is Isolation.REQUEST and spec.fresh is Fresh.PROCESS:
        why = "a process that is restored is as fresh as one that is forked, and costs less"
        return Proposal("fresh", Fresh.PROCESS.value, Fresh.RESTORED.value, why)
    return None


def _mb(size: int) -> str:
    return f"{size / _MIB:g}MB"
