"""The instances of one version: spares, busy ones, the queue for them, and their zygote."""

from __future__ import annotations

import asyncio
from functools import partial

from casemate.dispatch.deadlines import Deadlines
from casemate.dispatch.failed_starts import start_failed
from casemate.dispatch.instances import Instances
from casemate.dispatch.pool_zygotes import PoolZygotes
from casemate.dispatch.queued import QUEUE_FULL, CallQueue, Waiter, throttled
from casemate.dispatch.resting import UNMEASURED, Resting
from casemate.dispatch.restored import RestoredInstances
from casemate.dispatch.shares import ProjectShare
from casemate.dispatch.starting import SECONDS_LEAST, Starting
from casemate.dispatch.supply import Supply
from casemate.dispatch.tallies import Tally
from casemate.model.deployment import Version
from casemate.model.function import Isolation, Trust
from casemate.model.path import RefusedError, closed
from casemate.sandbox.client import SandboxClient
from casemate.sandbox.instance import Instance
from casemate.sandbox.zygote import Zygote

_REUSED_IDLE_SECONDS = 30.0
_IMPORT_POLL_SECONDS = 0.25
_UNCALLED_SECONDS = 10.0
"""A zygote that nobody has called yet is at rest from the first, as if called so long ago."""
PATIENT_SECONDS = 30.0
"""How long an event that is kept waits in the queue, at least."""
_IMPORT_PATIENCE_SECONDS = 6.0
_SETTLED_SECONDS = 1.0
"""A spare that lived at least this long is replaced when it ends by itself."""


class Pool:
    """Serves one version. All methods run on the event loop."""

    def __init__(
        self,
        client: SandboxClient,
        version: Version,
        loop: asyncio.AbstractEventLoop,
        share: ProjectShare,
        tally: Tally | None = None,
    ) -> None:
        """Start with nothing: no zygote, no instance. What is used again is counted in `tally`."""
        self.version = version
        self.limits = version.spec.limits
        self.reuse = version.spec.isolation is Isolation.INSTANCE
        self._imports_late = version.spec.trust is Trust.LOW
        self.contained = False
        self._share = share
        self._loop = loop
        self._zygotes = PoolZygotes(
            client,
            loop,
            begun=self._begun,
            opened=self._opened,
            failed=self._opening_failed,
            ended=self._zygote_ended,
            done=self._opening_done,
        )
        slow = self.reuse or self._imports_late
        self._starting = Starting(loop, max(self.limits.timeout, SECONDS_LEAST), slow=slow)
        self._waiting = CallQueue()
        self._deadlines = Deadlines()
        self.restored = RestoredInstances(
            f"{version.project}/{version.function}",
            loop,
            self._on_made_ready,
            tally or Tally(),
            imports_late=self._imports_late,
        )
        self._instances = Instances(self._zygotes, self._starting, self.restored)
        self._spares = self._instances.spares
        self._supply = Supply(
            loop,
            limits=self.limits,
            reuse=self.reuse,
            instances=self._instances,
            zygotes=self._zygotes,
            waiting=self._waiting,
            share=share,
            open_zygote=lambda: self._zygotes.open(self.version),
            spawn=self._spawn,
        )
        self.arrivals = self._supply.arrivals
        self.warm = self._supply.warm

    @property
    def busy(self) -> int:
        """Number of instances that serve a call."""
        return self._instances.busy

    @property
    def retired(self) -> bool:
        """Whether it serves those calls alone that wait by now, and those that are for it."""
        return self._supply.retired

    @retired.setter
    def retired(self, retired: bool) -> None:
        self._supply.retired = retired

    def follow(self, version: Version) -> None:
        """Take over what the version is now: what it may reach can have become less."""
        if version.spec.grants != self.version.spec.grants:
            self._retire_zygote()
        self.version = version

    # -- taking and giving back ----------------------------------------------------------------

    def take(self) -> Instance | None:
        """Return a ready instance, if one waits and nobody is in the queue before."""
        now = self._loop.time()
        self.arrivals.arrived(now)
        self._share.called(now)
        while self._spares and not self._waiting and self.busy < self.limits.concurrency:
            if not self._share.admits():
                return None
            instance = self._take_spare()
            if instance.alive:
                self._begin(instance)
                return instance
        return None

    async def wait(self, *, patient: bool = False) -> Instance:
        """Queue for an instance, starting what is needed. Raises RefusedError.

        `patient` is for events that are kept: nobody waits for their answer, and who gives up
        early never gets a turn beside callers who come back at once.
        """
        if self.full:
            raise throttled(QUEUE_FULL, len(self._waiting), self.busy)
        if (failure := self._zygotes.failure()) is not None:
            raise failure
        future: asyncio.Future[Instance] = self._loop.create_future()
        patience = self.limits.queue_time
        if patient:
            patience = max(patience, PATIENT_SECONDS)
        now = self._loop.time()
        waiter = Waiter(future, now, now + patience + 2 * self._starting.seconds)
        self._deadlines.put(waiter, now + patience, partial(self._give_up, waiter))
        self._waiting.add(waiter)
        self._match()
        self._supply.at_once()
        try:
            return await future
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            elif not future.cancelled() and future.exception() is None:
                self.release(future.result())
            raise
        finally:
            self._deadlines.drop(waiter)

    @property
    def full(self) -> bool:
        """True if one more call would find no place in the queue."""
        # Calls that only wait for their own instance to start are not in anybody's way.
        room = max(0, self.limits.concurrency - self.busy)
        return len(self._waiting) - room >= self.limits.queue

    def _take_spare(self) -> Instance:
        """Return one that waits: of two layouts nobody can foresee which."""
        return self._spares.take(by_chance=self._zygotes.second is not None)

    def _begin(self, instance: Instance) -> None:
        self._instances.busy += 1
        if instance.restorable:
            instance.begun = self._loop.time()
        self._zygotes.called()
        self._share.begin(instance)

    def release(self, instance: Instance) -> None:
        """Take back an instance after its invocation; what is not reusable is replaced."""
        self._instances.busy -= 1
        self._share.end(instance)
        self.restored.tally.forks += not (self.reuse or instance.restorable)
        if not instance.alive or self.retired or self._is_replaced(instance):
            self._end(instance)
            self._match()
        elif self.reuse:
            self._offer(instance)
        else:
            self._make_ready(instance)
            self._match()
        if self._waiting or not self.reuse:
            # Later, after the answer: the caller does not wait for the refill.
            self._supply.later()

    def _is_replaced(self, instance: Instance) -> bool:
        """Tell whether it gets no call any more: others have taken its place, and are there."""
        zygotes = self._zygotes
        if not zygotes.any_old or not zygotes.is_of_old(instance):
            return False
        return zygotes.is_of_gone(instance) or self._instances.lasting_spares() > 0

    def _make_ready(self, instance: Instance) -> None:
        """Have an instance restored if it is one that can be; end it else."""
        zygote = self._zygotes.of(instance)
        if zygote is None or not self.restored.begin(zygote, instance):
            self._end(instance)

    def _end(self, instance: Instance) -> None:
        """End an instance: whether the others are enough is to be seen."""
        self._supply.look_again()
        instance.close()

    def _on_made_ready(self, instance: Instance, ready: bool) -> None:
        wanted = not self.retired or bool(self._waiting)
        if ready and wanted and not self._is_replaced(instance) and not self._supply.are_too_many():
            self._offer(instance)
            if not self._waiting:
                return  # as many as when its call ended, which has looked at what is needed
        else:
            self._end(instance)
        self._supply.later()

    def _give_up(self, waiter: Waiter) -> None:
        if waiter.future.done():
            return
        now = self._loop.time()
        if now < waiter.latest and (self._zygotes.opening or self._has_own(waiter)):
            # A slow import or fork is not a full queue; it has a deadline of its own.
            later = now + _IMPORT_POLL_SECONDS
            self._deadlines.put(waiter, later, partial(self._give_up, waiter))
            return
        self._waiting.remove(waiter)
        refusal = throttled("The function has no free instance.", len(self._waiting), self.busy)
        waiter.future.set_exception(refusal)

    def _has_own(self, waiter: Waiter) -> bool:
        """Tell whether a call waits for nothing but its own instance, which is being started."""
        room = max(0, self.limits.concurrency - self.busy)
        if self._imports_late and self._starting:
            return room > 0
        # What its import took is no part of the time in the queue.
        begun = self._starting.since(self._loop.time() - self.limits.queue_time)
        coming = begun + self._instances.being_made_ready()
        return self._waiting.is_among(waiter, min(room, coming))

    def contain(self) -> None:
        """Serve no call any more: those that wait are refused, those that run may end."""
        self.contained = self.retired = True
        self._waiting.refuse_all(closed())
        self._retire_zygote()

    # -- those that come and go ----------------------------------------------------------------

    def _spawn(self, zygote: Zygote, restorable: bool) -> Instance:
        return zygote.spawn(self._on_ready, self._on_end, restorable=restorable)

    def _begun(self, zygote: Zygote) -> None:
        """Have the first call's instance made as soon as its zygote has imported."""
        self._starting.drop_early()
        first = self._waiting and not self.retired and self._instances.none
        if first and self._supply.start(zygote):
            self._starting.early = next(iter(self._starting))

    def _opened(self, asked: Version, zygote: Zygote) -> None:
        # Instances of one that it takes the place of stay until there are others.
        self._zygotes.adopt(zygote)
        self._starting.renew_early()
        if self.contained or asked.spec.grants != self.version.spec.grants:
            self._retire_zygote()  # it may reach more than the version may by now

    def _opening_failed(self, refusal: RefusedError) -> None:
        self.warm.failed(self._loop.time())
        self._starting.drop_early()
        if not self.has_zygote:
            self._waiting.refuse_all(refusal)

    def _opening_done(self) -> None:
        if self._zygotes.current is not None:
            self._supply.at_once()

    def adopt(self, zygote: Zygote) -> None:
        """Fork instances from this zygote, which nobody has called yet, from now on."""
        idle = min(max(self.limits.keep - _UNCALLED_SECONDS, 0.0), _UNCALLED_SECONDS)
        self.arrivals.last = max(self.arrivals.last, self._loop.time() - idle)
        self._zygotes.adopt(zygote)

    def _zygote_ended(self) -> None:
        if self._waiting:
            self._supply.later()

    def _on_ready(self, instance: Instance) -> None:
        self._starting.take(instance)
        if self._zygotes.is_of_gone(instance):
            instance.close()
        elif instance.restorable:
            self._make_ready(instance)
        else:
            self._offer(instance)
        # Others may still wait: forks under way at once are few.
        self._supply.later()
        self._supply.start_put_off()

    def _on_end(self, instance: Instance) -> None:
        """An instance ended that served nobody: before it was ready, or as a spare."""
        now = self._loop.time()
        self._supply.look_again()
        since = self._spares.forget(instance)
        self.restored.forget(instance)
        early = instance is self._starting.early
        started = self._starting.take(instance)
        if early and self._zygotes.opening:
            # Whoever waits gets another one, or is told why, once the zygote is there or not.
            return
        if started and not self.restored.blamed(instance):
            # It failed to start: whoever waits longest is told, so that this cannot go on.
            seconds = self._starting.seconds
            self._waiting.refuse_next(
                start_failed(instance.last, seconds, imports_late=self._imports_late)
            )
        # Replacing what ends at once, with nobody waiting for it, would fork without end.
        if since is None or now - since < _SETTLED_SECONDS:
            self.warm.failed(now)
            if not self._waiting:
                return
        self._supply.later()

    def _offer(self, instance: Instance) -> None:
        """Keep a ready instance, and give it to the head of the queue if there is one."""
        if self._zygotes.any_old and not self._zygotes.is_of_old(instance):
            self._spares.close_one(self._zygotes.is_of_old)
        self._spares.add(instance, self._loop.time())
        if self._waiting:
            self._match()

    def _match(self) -> None:
        """Bring the queue and the ready instances together, first come, first served."""
        while self._waiting and self._spares and self.busy < self.limits.concurrency:
            if not self._share.admits():
                self._share.hold(self)
                return
            waiter = self._waiting.next()
            if waiter is None:
                return
            instance = self._take_spare()
            self._begin(instance)
            waiter.future.set_result(instance)

    resume = _match

    # -- upkeep --------------------------------------------------------------------------------

    def tend(self, now: float) -> bool:
        """Let go of what is not needed; return False when nothing is left. Once a second."""
        idle = now - self.arrivals.last
        if now - self._spares.oldest_since >= _SETTLED_SECONDS:
            self.warm.worked()
        self._trim_spares(now)
        self._starting.tend(now)
        self.restored.tend(now)
        self._zygotes.tend(now)
        if self._unused and (self.retired or idle > self.limits.keep):
            self.close()
        if self._zygotes.is_overdue(now):
            self._retire_zygote()
        if self._is_kept_warm:
            self._supply.at_once()
        return bool(self._is_kept_warm or self._zygotes.any or self._waiting or self.busy)

    @property
    def _is_kept_warm(self) -> bool:
        return self.warm.count > 0 and not self.retired

    @property
    def _unused(self) -> bool:
        """Whether there is a zygote that nothing needs at the moment."""
        under_way = self._waiting or self.busy or self._starting or self.restored
        return self.has_zygote and not under_way and not self._is_kept_warm

    @property
    def held(self) -> int:
        """Bytes of the newest zygote and the files of its bundle; 0 if there is none, or it was not
        measured yet."""
        zygote = self._zygotes.current
        return zygote.memory + zygote.files if zygote is not None and zygote.memory else 0

    def resting(self, now: float) -> Resting | None:
        """Return what is at rest: a zygote that nothing needs, without spares; None else."""
        zygote = self._zygotes.current
        if zygote is None or not self._unused or self._spares:
            return None
        memory = (zygote.memory or UNMEASURED) + zygote.files
        idle = now - self.arrivals.last
        return Resting(memory, zygote.seconds, idle, self.version.project)

    # -- two layouts at once -------------------------------------------------------------------

    def wants_two(self, now: float) -> Resting | None:
        """Return what a second zygote would hold, if it is called often enough for one."""
        if self.retired:
            return None
        return self._zygotes.wants_two(self.arrivals.rate(now), self.version.project, now)

    def have_two(self, *, allowed: bool) -> None:
        """Have two zygotes of different layouts, or one."""
        self._zygotes.have_two(allowed=allowed)

    # -- ahead of calls ------------------------------------------------------------------------

    def keep_warm(self, count: int) -> None:
        """Have so many instances wait for calls, whatever the rate."""
        self.warm.count = count
        if count:
            self._supply.look_again()
            self.warm.worked()
            self._supply.at_once()

    def needs_zygote(self, now: float) -> bool:
        """Tell whether a zygote is to be opened ahead of calls: none is there, or it is due."""
        if self.retired or self._zygotes.opening:
            return False
        if not self.has_zygote:
            return self.warm.due(now)
        return self._zygotes.is_due(now)

    async def open_ahead(self) -> None:
        """Open a zygote; it takes the place of the one that is there. Never raises.

        Returns before it is there if the import takes long: others have to be replaced as well.
        """
        await asyncio.wait([self._zygotes.open(self.version)], timeout=_IMPORT_PATIENCE_SECONDS)

    def _trim_spares(self, now: float) -> None:
        latest = now - _REUSED_IDLE_SECONDS if self.reuse else float("inf")
        self._spares.trim(self._supply.target(now), latest)
        while self._zygotes.replaced_long_ago(now):
            if not self._spares.close_one(self._zygotes.is_of_old):
                break

    def _retire_zygote(self) -> None:
        self._spares.close()
        self._zygotes.retire()

    def close(self) -> None:
        """End every zygote and with them every instance."""
        self._spares.close()
        self._starting.close()  # first: who calls once this is over is not told of their end
        self._zygotes.close()

    def renew(self) -> None:
        """Serve no more calls with the instances there are; those that run may end."""
        self._retire_zygote()
        self._supply.later()

    def weigh(self, parts: int) -> None:
        """Give this function one of `parts` of its project's weight, when the CPU is short."""
        self._zygotes.weigh(parts)

    @property
    def spares(self) -> int:
        """Number of instances that wait for a call."""
        return len(self._spares)

    @property
    def waiting(self) -> int:
        """Number of calls that wait for an instance."""
        return len(self._waiting)

    @property
    def has_zygote(self) -> bool:
        """True while a zygote is kept."""
        return self._zygotes.current is not None
