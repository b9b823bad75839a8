"""The instances of one version: spares, busy ones, the queue for them, and their zygote."""

from __future__ import annotations

import asyncio
from functools import partial

from casemate.dispatch.arrivals import ArrivalRate
from casemate.dispatch.crowding import Crowding
from casemate.dispatch.deadlines import Deadlines
from casemate.dispatch.failed_starts import start_failed, unavailable
from casemate.dispatch.pool_zygotes import PoolZygotes
from casemate.dispatch.queued import QUEUE_FULL, CallQueue, Waiter, throttled
from casemate.dispatch.resting import UNMEASURED, Resting
from casemate.dispatch.restored import SOON_SECONDS, RestoredInstances
from casemate.dispatch.shares import ProjectShare
from casemate.dispatch.spares import Spares
from casemate.dispatch.starting import LONG_SECONDS, SECONDS_LEAST, Starting
from casemate.dispatch.tallies import Tally
from casemate.dispatch.warm import Warm
from casemate.model.deployment import Version
from casemate.model.errors import CasemateError
from casemate.model.function import Isolation, Trust
from casemate.model.path import RefusedError, closed
from casemate.sandbox.client import SandboxClient
from casemate.sandbox.instance import Instance
from casemate.sandbox.zygote import Zygote

_MAX_STARTING = 4
"""Forks under way at once: a zygote forks one after the other, and others want the cores too."""
_PATIENCE_SECONDS = 0.003
"""How long a call waits for a busy, reusable instance before another one is started."""
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
        self.busy = 0
        self.retired = False
        self.contained = False
        self.arrivals = ArrivalRate()
        self.warm = Warm()
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
        self._spares = Spares()
        slow = self.reuse or self._imports_late
        self._starting = Starting(loop, max(self.limits.timeout, SECONDS_LEAST), slow=slow)
        self._waiting = CallQueue()
        self._deadlines = Deadlines()
        self._supply_soon = False
        self._enough_until = 0.0
        """Until when those there are take all calls sooner than with one more beside them."""
        self._patience: asyncio.TimerHandle | None = None
        self._put_off = 0
        """Spares that are started once the first call has what it waits for."""
        self.restored = RestoredInstances(
            f"{version.project}/{version.function}",
            loop,
            self._on_made_ready,
            tally or Tally(),
            imports_late=self._imports_late,
        )
        self._crowding = Crowding(loop, self._zygotes, self.restored, self.arrivals, share)

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
        self._supply()
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
        self.busy += 1
        if instance.restorable:
            instance.begun = self._loop.time()
        self._zygotes.called()
        self._share.begin(instance)

    def release(self, instance: Instance) -> None:
        """Take back an instance after its invocation; what is not reusable is replaced."""
        self.busy -= 1
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
            self._supply_later()

    def _is_replaced(self, instance: Instance) -> bool:
        """Tell whether it gets no call any more: others have taken its place, and are there."""
        zygotes = self._zygotes
        if not zygotes.any_old or not zygotes.is_of_old(instance):
            return False
        return zygotes.is_of_gone(instance) or self._lasting_spares() > 0

    def _make_ready(self, instance: Instance) -> None:
        """Have an instance restored if it is one that can be; end it else."""
        zygote = self._zygotes.of(instance)
        if zygote is None or not self.restored.begin(zygote, instance):
            self._end(instance)

    def _end(self, instance: Instance) -> None:
        """End an instance: whether the others are enough is to be seen."""
        self._enough_until = 0.0
        instance.close()

    def _on_made_ready(self, instance: Instance, ready: bool) -> None:
        wanted = not self.retired or bool(self._waiting)
        if ready and wanted and not self._is_replaced(instance) and not self._are_too_many():
            self._offer(instance)
            if not self._waiting:
                return  # as many as when its call ended, which has looked at what is needed
        else:
            self._end(instance)
        self._supply_later()

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
        coming = begun + self._being_made_ready()
        return self._waiting.is_among(waiter, min(room, coming))

    def contain(self) -> None:
        """Serve no call any more: those that wait are refused, those that run may end."""
        self.contained = self.retired = True
        self._waiting.refuse_all(closed())
        self._retire_zygote()

    # -- supply --------------------------------------------------------------------------------

    def _supply_later(self) -> None:
        """Do that once what is under way has been done; reused ones only while somebody waits."""
        if not self._supply_soon and (self._waiting or not self.reuse or self.warm.count):
            self._supply_soon = True
            self._loop.call_soon(self._supply)

    def _supply(self) -> None:
        """Start the zygote or instances that the queue and the arrival rate ask for."""
        self._supply_soon = False
        if self.retired and not self._waiting:
            return
        now = self._loop.time()
        if now < self._enough_until:
            if self._waiting:
                self._be_patient(SOON_SECONDS)
            return
        wanted = self._wanted(now)
        if wanted <= 0:
            return
        for _ in range(wanted):
            zygote = self._zygotes.next()
            if zygote is None or not zygote.alive:
                self._zygotes.open(self.version)
                return
            if not self._spawn(zygote):
                return

    def _spawn_spares(self, count: int) -> None:
        """Start spares that were put off, if there are none by now."""
        zygote = self._zygotes.current
        room = min(self.limits.concurrency + count - self.busy, _MAX_STARTING)
        for _ in range(min(count, room) - len(self._starting) - self._lasting_spares()):
            if self.retired or zygote is None or not zygote.alive or not self._spawn(zygote):
                return

    def _spawn(self, zygote: Zygote) -> bool:
        try:
            # Whoever waits for the only one does not wait for it to be traced as well.
            only = not (self.busy or self._starting or self._spares or self.restored)
            restorable = self.restored.wanted(zygote) and not (self._waiting and only)
            instance = zygote.spawn(self._on_ready, self._on_end, restorable=restorable)
        except (OSError, CasemateError) as error:
            self.warm.failed(self._loop.time())
            self._waiting.refuse_all(unavailable(error))
            return False
        self._starting.add(instance)
        return True

    def _target(self, now: float) -> int:
        """Return how many instances are to wait for a call."""
        room = max(0, self.limits.concurrency - self.busy)
        warm = 0 if self.retired else min(self.warm.count, room)
        return warm if self.reuse else max(self.arrivals.spares(now), warm)

    def _wanted(self, now: float) -> int:
        waiting, spares = len(self._waiting), self._lasting_spares()
        # A zygote that only `warm` needs is opened when its turn comes; see `Ahead`.
        ahead = self.has_zygote and self.warm.due(now)
        starting = len(self._starting) + self._being_made_ready()
        total = self.busy + starting + spares
        if self.reuse:
            if total and waiting and not self._starting:
                # Busy instances come back soon: start another only for who waits too long.
                self._be_patient(_PATIENCE_SECONDS)
            missing = self._target(now) + self.busy - total if ahead else 0
            if self._zygotes.lacks_successors:
                missing = max(missing, 1)
            return min(max(missing, 1 if waiting and not total else 0), _MAX_STARTING - starting)
        target = self._target(now) if ahead else self.arrivals.spares(now)
        if waiting and total == (self._starting.early is not None):
            # They would take the cores from the one that the first call waits for.
            target, self._put_off = 0, target
        zygote = self._zygotes.current
        used_again = zygote is not None and total > 0 and self.restored.wanted(zygote)
        need = waiting + target - starting - spares
        room = self.limits.concurrency + target - total
        crowded = used_again and self._is_crowded()
        if crowded or (used_again and self.restored.come_soon(waiting, total)):
            lasting = 0 if crowded else self.restored.lasting(self.arrivals.rate(now))
            warm = self.warm.count - starting - spares if ahead else 0
            need = max(lasting - total, warm)
            if need <= 0:
                self._enough_until = now + SOON_SECONDS
            if waiting:
                self._be_patient(SOON_SECONDS)
        return min(need, room, _MAX_STARTING - len(self._starting))

    def _is_crowded(self) -> bool:
        """Tell whether another one that is used again would only wait with those at work."""
        busy = self.busy + self._starting.in_time() + self._being_made_ready()
        return self._crowding.of_another(busy)

    def _are_too_many(self) -> bool:
        """Tell whether one that is ready again had better end."""
        total = self.busy + len(self._spares) + len(self.restored)
        return self._crowding.of_all(total, self.warm.count)

    def _be_patient(self, seconds: float) -> None:
        if self._patience is None:
            self._patience = self._loop.call_later(seconds, self._impatient, seconds)

    def _impatient(self, seconds: float) -> None:
        """Start one more instance if the head of the queue has waited for so long."""
        self._patience = None
        # With a spare at hand it is the project's share that the queue waits for.
        few = len(self._starting) < _MAX_STARTING
        wanted = self._waiting and not self._spares and few
        waited = self._loop.time() - self._waiting.longest_since
        crowded = waited < LONG_SECONDS and self._is_crowded()
        if wanted and (waited < seconds or crowded or self._starting.in_time()):
            self._be_patient(seconds)
            return
        if not wanted or self.busy >= self.limits.concurrency:
            return
        zygote = self._zygotes.next()
        if zygote is None or not zygote.alive:
            self._zygotes.open(self.version)
        else:
            self._spawn(zygote)

    def _begun(self, zygote: Zygote) -> None:
        """Have the first call's instance made as soon as its zygote has imported."""
        self._starting.drop_early()
        others = self.busy or self._starting or self._spares or self.restored
        if self._waiting and not (self.retired or others) and self._spawn(zygote):
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
            self._supply()

    def adopt(self, zygote: Zygote) -> None:
        """Fork instances from this zygote, which nobody has called yet, from now on."""
        idle = min(max(self.limits.keep - _UNCALLED_SECONDS, 0.0), _UNCALLED_SECONDS)
        self.arrivals.last = max(self.arrivals.last, self._loop.time() - idle)
        self._zygotes.adopt(zygote)

    def _zygote_ended(self) -> None:
        if self._waiting:
            self._supply_later()

    def _on_ready(self, instance: Instance) -> None:
        self._starting.take(instance)
        if self._zygotes.is_of_gone(instance):
            instance.close()
        elif instance.restorable:
            self._make_ready(instance)
        else:
            self._offer(instance)
        # Others may still wait: forks under way at once are few.
        self._supply_later()
        if self._put_off:
            count, self._put_off = self._put_off, 0
            self._loop.call_later(SOON_SECONDS, self._spawn_spares, count)

    def _on_end(self, instance: Instance) -> None:
        """An instance ended that served nobody: before it was ready, or as a spare."""
        now = self._loop.time()
        self._enough_until = 0.0
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
        self._supply_later()

    def _offer(self, instance: Instance) -> None:
        """Keep a ready instance, and give it to the head of the queue if there is one."""
        if self._zygotes.any_old and not self._zygotes.is_of_old(instance):
            self._spares.close_one(self._zygotes.is_of_old)
        self._spares.add(instance, self._loop.time())
        if self._waiting:
            self._match()

    def _lasting_spares(self) -> int:
        """Return how many spares wait that are of the zygote in use."""
        if not self._zygotes.any_old:
            return len(self._spares)
        return sum(not self._zygotes.is_of_old(spare) for spare, _ in self._spares)

    def _being_made_ready(self) -> int:
        """Return how many spares come back soon that are of the zygote in use."""
        if not self._zygotes.any_old:
            return len(self.restored)
        return sum(not self._zygotes.is_of_old(instance) for instance in self.restored)

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
            self._supply()
        return bool(self._is_kept_warm or self._zygotes.any or self._waiting or self.busy)

    @property
    def _is_kept_warm(self) -> bool:
        return self.warm.count > 0 and not self.retired

    @property
    def _unused(self) -> bool:
        """Whether there is a zygote that nothing needs at the moment."""
        under_way = self._waiting or self.busy or self._starting or self.restored
        return self.has_zygote and not under_way and not self._is_kept_warm

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
            self._enough_until = 0.0
            self.warm.worked()
            self._supply()

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
        self._spares.trim(self._target(now), latest)
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
        self._supply_later()

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
