"""Places admitted invocations on instances, and lets go of what nobody calls."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from casemate.dispatch.ahead import Ahead
from casemate.dispatch.dependencies_ahead import DependenciesAhead
from casemate.dispatch.pool import Pool
from casemate.dispatch.queued import QUEUE_FULL, throttled
from casemate.dispatch.resting import MOST as MOST_RESTING
from casemate.dispatch.resting import HostMemory, Resting, excess
from casemate.dispatch.saturation import Saturation
from casemate.dispatch.shares import Shares
from casemate.dispatch.tallies import Tallies
from casemate.model.deployment import Version
from casemate.model.function import Isolation
from casemate.model.invocation import RunningInvocation
from casemate.model.path import Admitted, Placed, RefusedError, closed
from casemate.sandbox.client import SandboxClient
from casemate.sandbox.instance import Instance
from casemate.sandbox.zygote import Zygote

_TEND_SECONDS = 1.0
_CALLED_SECONDS = 2.0
"""A function counts as called for this long after its last call."""
_CROWDED_SECONDS = 1.0
"""How long calls are looked at from their head after one found no place in a queue."""

MOST_SECOND = 64
"""Functions that have two zygotes at once, of a node."""
_FILES_PART = 8
"""Of the files that the gateway may open, one part of so many is for zygotes at rest."""

Name = tuple[str, str, int]


class Load(NamedTuple):
    """What a function takes at the moment, all its versions together."""

    busy: int = 0
    spares: int = 0
    waiting: int = 0
    concurrency: int = 0
    """Most calls at once of the version that may have the most."""
    held: int = 0
    """Bytes that are held while nobody calls, and while somebody does."""


def _name(version: Version) -> Name:
    return version.project, version.function, version.number


class Dispatcher:
    """Stage 3. Only versions that were called lately have a pool, so nothing grows with the
    number of functions that are deployed."""

    def __init__(
        self,
        client: SandboxClient,
        *,
        resting_memory: int | None = None,
        saturation: Saturation | None = None,
    ) -> None:
        """Take instances from `client`.

        `resting_memory` are the bytes that zygotes at rest may hold together; None: no bound.
        `saturation` tells whether the cores are short; None: those of this machine.
        """
        self._resting_memory = resting_memory
        self._host_memory = HostMemory()
        open_files, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most_resting = min(MOST_RESTING, open_files // _FILES_PART)
        self._client = client
        client.on_late = self._imported_late
        self._loop = client.loop
        self._pools: dict[Name, Pool] = {}
        self.tallies = Tallies()
        self._timer: asyncio.TimerHandle | None = None
        self._by_instance: dict[Instance, tuple[Pool, Admitted]] = {}
        self._contained: frozenset[tuple[str, str]] = frozenset()
        """Functions in quarantine."""
        self._crowded_until = 0.0
        self._ahead = Ahead(client.loop)
        self.dependencies = DependenciesAhead(client.ahead, client.loop)
        cores = len(os.sched_getaffinity(0))
        self._shares = Shares(client.loop, cores=cores, saturation=saturation or Saturation(cores))

    def refusal(self, version: Version) -> RefusedError | None:
        """Return why a call of this version would be refused right now, before it is even read."""
        pool = self._pools.get(_name(version))
        if pool is None or not pool.full:
            return None
        self._crowded_until = self._loop.time() + _CROWDED_SECONDS
        return throttled(QUEUE_FULL, pool.waiting, pool.busy)

    async def place(self, admitted: Admitted) -> Placed:
        """Return the invocation with a ready instance. Raises RefusedError."""
        if not isinstance(admitted, Admitted):
            raise TypeError("stage 3 takes an Admitted")
        version = admitted.version
        if self._contained and (version.project, version.function) in self._contained:
            raise closed()
        pool = self._pools.get(_name(version))
        if pool is None:
            pool = self._new_pool(version)
        elif pool.version is not version:
            pool.follow(version)
        instance = pool.take()
        if instance is not None:
            self._by_instance[instance] = pool, admitted
            return Placed(admitted=admitted, instance=instance, queued=0.0, cold=False)
        started = self._loop.time()
        cold = not pool.has_zygote
        if pool.full:
            self._crowded_until = started + _CROWDED_SECONDS
        instance = await pool.wait(patient=bool(admitted.request.raw.events))
        self._by_instance[instance] = pool, admitted
        queued = self._loop.time() - started
        return Placed(admitted=admitted, instance=instance, queued=queued, cold=cold)

    def release(self, placed: Placed) -> None:
        """Give the instance of a finished invocation back."""
        instance = placed.instance
        if isinstance(instance, Instance):
            busy = self._by_instance.pop(instance, None)
            if busy is not None:
                busy[0].release(instance)

    def adopt(self, version: Version, zygote: Zygote) -> None:
        """Take over a zygote that was opened for this version's bundle."""
        if (version.project, version.function) in self._contained:
            zygote.close()
            return
        self._new_pool(version).adopt(zygote)

    def retire(self, keep: set[Name]) -> None:
        """Let every version end that is not in `keep` once its calls are answered."""
        for name, pool in self._pools.items():
            pool.retired = pool.contained or name not in keep
        self.dependencies.retire(keep)

    def contain(self, functions: frozenset[tuple[str, str]]) -> None:
        """Place no call on these functions any more, and on all others."""
        self._contained = functions
        for name, pool in self._pools.items():
            if name[:2] in functions:
                pool.contain()
            else:
                pool.contained = False
        self.dependencies.contain(functions)

    def kill(self, project: str, function: str) -> None:
        """End everything of a function at once, in the middle of its calls."""
        for name, pool in self._pools.items():
            if name[:2] == (project, function):
                pool.close()

    def renew(self, project: str, function: str) -> None:
        """Have no more calls go to instances of a function that have served one, and lasts.

        What runs is answered. Instances of one call each are as before any call already.
        """
        for name, pool in self._pools.items():
            if name[:2] == (project, function) and pool.reuse:
                pool.renew()

    def keep_warm(self, wanted: Sequence[tuple[Version, int]]) -> None:
        """Keep so many instances of each of these versions ready, and of no others."""
        wanted = [one for one in wanted if (one[0].project, one[0].function) not in self._contained]
        counts = {_name(version): count for version, count in wanted}
        for version, _ in wanted:
            pool = self._pools.get(_name(version))
            if pool is None:
                self._new_pool(version)
            elif pool.version is not version:
                pool.follow(version)
        for name, pool in self._pools.items():
            pool.keep_warm(counts.get(name, 0))
        self._ahead.look(self._pools.values())

    def _new_pool(self, version: Version) -> Pool:
        tally = self.tallies.of(version.project, version.function)
        tally.follow(version.digest)
        pool = Pool(self._client, version, self._loop, self._shares.of(version.project), tally)
        self._pools[_name(version)] = pool
        self.dependencies.came(version)
        if self._timer is None:
            self._timer = self._loop.call_later(_TEND_SECONDS, self._tend)
        return pool

    def _imported_late(self, version: Version, files: list[str]) -> None:
        """Note what a call has imported, if the next one has to do so as well."""
        if version.spec.isolation is Isolation.REQUEST:
            tally = self.tallies.of(version.project, version.function)
            tally.imported_late(version.digest, files)

    def _tend(self) -> None:
        now = self._loop.time()
        for name, pool in list(self._pools.items()):
            if not pool.tend(now) and now - pool.arrivals.last > _TEND_SECONDS:
                del self._pools[name]
                if not pool.retired:
                    self.dependencies.left(pool.version)
        self._let_go(now)
        self._allow_two(now)
        self._ahead.look(self._pools.values())
        self._weigh(now)
        self._look_ahead(now)
        needed = self._pools or self.dependencies.active
        self._timer = self._loop.call_later(_TEND_SECONDS, self._tend) if needed else None

    def _look_ahead(self, now: float) -> None:
        """Have dependencies imported ahead where there is memory that nothing else needs."""
        if not self.dependencies.active:
            return
        room = 0 if self._host_memory.missing() else sys.maxsize
        if room and self._resting_memory is not None:
            held = sum(one.memory for one in self._resting(now).values())
            room = self._resting_memory - held - self.dependencies.memory
        present = [pool.version for pool in self._pools.values() if pool.has_zygote]
        self.dependencies.look(present, room=room)

    def _resting(self, now: float) -> dict[Name, Resting]:
        found = {name: pool.resting(now) for name, pool in self._pools.items()}
        return {name: one for name, one in found.items() if one is not None}

    def _let_go(self, now: float) -> None:
        """End zygotes at rest of which there is no room."""
        resting = self._resting(now)
        if self._resting_memory is None or not (resting or self.dependencies.active):
            return
        held = sum(one.memory for one in resting.values())
        missing = self._host_memory.missing()
        over = held + self.dependencies.memory - self._resting_memory
        # What is no function's yet is made again at nobody's cost.
        missing = max(0, missing - self.dependencies.let_go(max(over, missing)))
        room = min(self._resting_memory, max(0, held - missing))
        for name in excess(resting, memory=room, most=self._most_resting):
            self._pools[name].close()

    def _allow_two(self, now: float) -> None:
        """Let busy functions have two zygotes of different layouts, where there is memory.

        They get what those at rest leave of theirs, projects alike.
        """
        wanted = {name: pool.wants_two(now) for name, pool in self._pools.items()}
        second = {name: one for name, one in wanted.items() if one is not None}
        room = self._room_for_second(now) if second else 0
        refused = set(excess(second, memory=room, most=MOST_SECOND))
        for name, pool in self._pools.items():
            pool.have_two(allowed=name in second and name not in refused)

    def _room_for_second(self, now: float) -> int:
        if self._resting_memory is None:
            return sys.maxsize
        held = sum(one.memory for one in self._resting(now).values())
        return 0 if self._host_memory.missing() else max(0, self._resting_memory - held)

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
        self._ahead.close()
        self.dependencies.close()
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

    def serving(self) -> tuple[tuple[Instance, Admitted], ...]:
        """Return the instances that serve an invocation, and which."""
        return tuple((one, admitted) for one, (_, admitted) in self._by_instance.items())

    @property
    def spares(self) -> int:
        """Number of instances that wait for a call."""
        return sum(pool.spares for pool in self._pools.values())

    def spares_by_function(self) -> Counter[tuple[str, str]]:
        """Return the number of each function's instances that wait for a call."""
        found: Counter[tuple[str, str]] = Counter()
        for (project, function, _), pool in self._pools.items():
            found[project, function] += pool.spares
        return found

    def loads(self) -> dict[tuple[str, str], Load]:
        """Return what each function takes that is in use."""
        found: dict[tuple[str, str], Load] = {}
        for (project, function, _), pool in self._pools.items():
            before = found.get((project, function), Load())
            found[project, function] = Load(
                before.busy + pool.busy,
                before.spares + pool.spares,
                before.waiting + pool.waiting,
                max(before.concurrency, pool.limits.concurrency),
                before.held + pool.held,
            )
        return found

    @property
    def waiting(self) -> int:
        """Number of calls that wait for an instance."""
        return sum(pool.waiting for pool in self._pools.values())

    @property
    def resting_memory(self) -> int:
        """Bytes that zygotes at rest hold."""
        return sum(one.memory for one in self._resting(self._loop.time()).values())

    @property
    def reserved_memory(self) -> int:
        """Bytes that the limits of the busy and spare instances add up to."""
        return sum((p.busy + p.spares) * p.limits.memory for p in self._pools.values())
