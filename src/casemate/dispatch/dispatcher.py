"""Places admitted invocations on instances, and lets go of what nobody calls."""

from __future__ import annotations

import asyncio

from casemate.dispatch.pool import Pool
from casemate.model.deployment import Version
from casemate.model.path import Admitted, Placed
from casemate.sandbox.client import SandboxClient, Zygote
from casemate.sandbox.instance import Instance

_TEND_SECONDS = 1.0

Name = tuple[str, str, int]


class Dispatcher:
    """Stage 3. Only versions that were called lately have a pool, so nothing grows with the
    number of functions that are deployed."""

    def __init__(self, client: SandboxClient) -> None:
        """Take instances from `client`."""
        self._client = client
        self._loop = client.loop
        self._pools: dict[Name, Pool] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._by_instance: dict[Instance, Pool] = {}

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
            self._by_instance[instance] = pool
            return Placed(admitted=admitted, instance=instance, queued=0.0, cold=False)
        started = self._loop.time()
        cold = not pool.has_zygote
        instance = await pool.wait(patient=bool(admitted.request.raw.events))
        self._by_instance[instance] = pool
        queued = self._loop.time() - started
        return Placed(admitted=admitted, instance=instance, queued=queued, cold=cold)

    def release(self, placed: Placed) -> None:
        """Give the instance of a finished invocation back."""
        instance = placed.instance
        if isinstance(instance, Instance):
            pool = self._by_instance.pop(instance, None)
            if pool is not None:
                pool.release(instance)

    def adopt(self, version: Version, zygote: Zygote) -> None:
        """Take over a zygote that was opened for this version's bundle."""
        self._new_pool(version).adopt(zygote)

    def retire(self, keep: set[Name]) -> None:
        """Let every version end that is not in `keep` once its calls are answered."""
        for name, pool in self._pools.items():
            pool.retired = name not in keep

    def _new_pool(self, version: Version) -> Pool:
        pool = Pool(self._client, version, self._loop)
        self._pools[version.project, version.function, version.number] = pool
        if self._timer is None:
            self._timer = self._loop.call_later(_TEND_SECONDS, self._tend)
        return pool

    def _tend(self) -> None:
        now = self._loop.time()
        for name, pool in list(self._pools.items()):
            if not pool.tend(now) and now - pool.arrivals.last > _TEND_SECONDS:
                del self._pools[name]
        self._timer = self._loop.call_later(_TEND_SECONDS, self._tend) if self._pools else None

    def close(self) -> None:
        """End every zygote."""
        if self._timer is not None:
            self._timer.cancel()
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()

    @property
    def busy(self) -> int:
        """Number of invocations under way."""
        return len(self._by_instance)

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
