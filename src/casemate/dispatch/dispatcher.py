"""Places admitted invocations on instances, and lets go of what nobody calls."""

from __future__ import annotations

import asyncio
import os
from typing import NamedTuple

from casemate.dispatch.pool import Pool
from casemate.dispatch.queued import QUEUE_FULL, throttled
from casemate.dispatch.saturation import Saturation
from casemate.dispatch.shares import Shares
from casemate.dispatch.tallies import Tallies
from casemate.model.deployment import Version
from casemate.model.invocation import RunningInvocation
from casemate.model.path import Admitted, Placed, RefusedError
from casemate.sandbox.client import SandboxClient
from casemate.sandbox.instance import Instance
from casemate.sandbox.zygote import Zygote

_TEND_SECONDS = 1.0
_CALLED_SECONDS = 2.0
"""A function counts as called for this long after its last call."""
_CROWDED_SECONDS = 1.0
"""How long calls are looked at from their head after one found no place in a queue."""

Name = tuple[str, str, int]


class _Busy(NamedTuple):
    pool: Pool
    admitted: Admitted


class Dispatcher:
    """Stage 3. Only versions that were called lately have a pool, so nothing grows with the
    number of functions that are deployed."""

    def __init__(self, client: SandboxClient) -> None:
        """Take instances from `client`."""
        self._client = client
        self._loop = client.loop
        self._pools: dict[Name, Pool] = {}
        self.tallies = Tallies()
        self._timer: asyncio.TimerHandle | None = None
        self._by_instance: dict[Instance, _Busy] = {}
        self._crowded_until = 0.0
        cores = len(os.sched_getaffinity(0))
        self._shares = Shares(client.loop, cores=cores, saturation=Saturation(cores))

    def refusal(self, version: Version) -> RefusedError | None:
        """Return why a call of this version would be refused right now, before it is even read."""
        pool = self._pools.get((version.project, version.function, version.number))
        if pool is None or not pool.full:
            return None
        self._crowded_until = self._loop.time() + _CROWDED_SECONDS
        return throttled(QUEUE_FULL, pool.waiting, pool.busy)

    async def place(self, admitted: Admitted) -> Placed:
        """Return the invocation with a ready instance. Raises RefusedError."""
        if not isinstance(admitted, Admitted):
            raise TypeError("stage 3 takes an Admitted")
        version = admitted.version
        pool = self._pools.get((version.project, version.function, version.number))
        if pool is None:
            pool = self._new_pool(version)
        elif pool.version is not version:
            pool.follow(version)
        instance = pool.take()
        if instance is not None:
            self._by_instance[instance] = _Busy(pool, admitted)
            return Placed(admitted=admitted, instance=instance, queued=0.0, cold=False)
        started = self._loop.time()
        cold = not pool.has_zygote
        if pool.full:
            self._crowded_until = started + _CROWDED_SECONDS
        instance = await pool.wait(patient=bool(admitted.request.raw.events))
        self._by_instance[instance] = _Busy(pool, admitted)
        queued = self._loop.time() - started
        return Placed(admitted=admitted, instance=instance, queued=queued, cold=cold)

    def release(self, placed: Placed) -> None:
        """Give the instance of a finished invocation back."""
        instance = placed.instance
        if isinstance(instance, Instance):
            busy = self._by_instance.pop(instance, None)
            if busy is not None:
                busy.pool.release(instance)

    def adopt(self, version: Version, zygote: Zygote) -> None:
        """Take over a zygote that was opened for this version's bundle."""
        self._new_pool(version).adopt(zygote)

    def retire(self, keep: set[Name]) -> None:
        """Let every version end that is not in `keep` once its calls are answered."""
        for name, pool in self._pools.items():
            pool.retired = name not in keep

    def _new_pool(self, version: Version) -> Pool:
        tally = self.tallies.of(version.project, version.function)
        pool = Pool(self._client, version, self._loop, self._shares.of(version.project), tally)
        self._pools[version.project, version.function, version.number] = pool
        if self._timer is None:
            self._timer = self._loop.call_later(_TEND_SECONDS, self._tend)
        return pool

    def _tend(self) -> None:
        now = self._loop.time()
        for name, pool in list(self._pools.items()):
            if not pool.tend(now) and now - pool.arrivals.last > _TEND_SECONDS:
                del self._pools[name]
        self._weigh(now)
        self._timer = self._loop.call_later(_TEND_SECONDS, self._tend) if self._pools else None

    def _weigh(self, now: float) -> None:
        """Divide the weight of a project between those of its functions that are called."""
        called: dict[str, list[Pool]] = {}
        for (project, _, _), pool in self._pools.items():
            if pool.busy or pool.waiting or now - pool.arrivals.last < _CALLED_SECONDS:
                called.setdefault(project, []).append(pool)
        for pools in called.values():
            for pool in pools:
                pool.weigh(len(pools))

    def close(self) -> None:
        """End every zygote."""
        if self._timer is not None:
            self._timer.cancel()
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()
        self._shares.close()

    @property
    def crowded(self) -> bool:
        """True if a call found its function's queue full a moment ago. Costs next to nothing."""
        return self._loop.time() < self._crowded_until

    @property
    def busy(self) -> int:
        """Number of invocations under way."""
        return len(self._by_instance)

    def running(self) -> tuple[RunningInvocation, ...]:
        """Return the invocations under way, the longest first."""
        return tuple(
            RunningInvocation(
                id=admitted.request.id,
                project=admitted.version.project,
                function=admitted.version.function,
                version=admitted.version.number,
                trigger=admitted.request.raw.trigger,
                started_at=admitted.request.raw.received_at,
            )
            for _, admitted in self._by_instance.values()
        )

    @property
    def spares(self) -> int:
        """Number of instances that wait for a call."""
        return sum(pool.spares for pool in self._pools.values())

    @property
    def waiting(self) -> int:
        """Number of calls that wait for an instance."""
        return sum(pool.waiting for pool in self._pools.values())

    @property
    def reserved_memory(self) -> int:
        """Bytes that the limits of the busy and spare instances add up to."""
        return sum((p.busy + p.spares) * p.limits.memory for p in self._pools.values())
