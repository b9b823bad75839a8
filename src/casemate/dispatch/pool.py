"""The instances of one version: spares, busy ones, the queue for them, and their zygote."""

from __future__ import annotations

import asyncio
from collections import deque

from casemate.dispatch.arrivals import ArrivalRate
from casemate.dispatch.failed_starts import not_imported, start_failed, unavailable
from casemate.dispatch.queued import QUEUE_FULL, Waiter, again, throttled
from casemate.dispatch.restored import RestoredInstances
from casemate.dispatch.shares import ProjectShare
from casemate.dispatch.tallies import Tally
from casemate.model.deployment import Version
from casemate.model.errors import CasemateError, NotFoundError
from casemate.model.function import Isolation, Trust
from casemate.model.path import RefusedError
from casemate.sandbox.client import ImportFailedError, SandboxClient
from casemate.sandbox.instance import Instance
from casemate.sandbox.zygote import Zygote

_MAX_STARTING = 4
"""Forks under way at once: a zygote forks one after the other, and others want the cores too."""
_PATIENCE_SECONDS = 0.003
"""How long a call waits for a busy, reusable instance before another one is started."""
_REUSED_IDLE_SECONDS = 30.0
_RECYCLE_SECONDS = 3600.0
_RECYCLE_FORKS = 100_000
_IMPORT_POLL_SECONDS = 0.25
_START_SECONDS_LEAST = 10.0
"""An instance has at least this long to get ready: with trust = "low" it imports the module."""
_UNCALLED_SECONDS = 10.0
"""How long a zygote that nobody has called yet is kept, at most: many may be deployed at once."""
PATIENT_SECONDS = 30.0
"""How long an event that is kept waits in the queue, at least."""
_FAILED_IMPORT_SECONDS = 1.0
"""How long a failed import is remembered, so that a flood of calls does not repeat it."""
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
        self._start_seconds = max(self.limits.timeout, _START_SECONDS_LEAST)
        self.busy = 0
        self.retired = False
        self.arrivals = ArrivalRate()
        self._share = share
        self._client = client
        self._loop = loop
        self._zygote: Zygote | None = None
        self._opened_at = 0.0
        self._opening: asyncio.Task[None] | None = None
        self._spares: deque[tuple[Instance, float]] = deque()
        self._starting: dict[Instance, float] = {}
        self._waiting: deque[Waiter] = deque()
        self._patience: asyncio.TimerHandle | None = None
        self._import_failed: tuple[float, RefusedError] | None = None
        self._old: list[Zygote] = []
        self.restored = RestoredInstances(
            f"{version.project}/{version.function}", loop, self._on_made_ready, tally or Tally()
        )

    def follow(self, version: Version) -> None:
        """Take over what the version is now: what it may reach can have become less."""
        if version.spec.grants != self.version.spec.grants and self._zygote is not None:
            self._retire_zygote(self._zygote)
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
            instance, _ = self._spares.pop()
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
        if self._import_failed is not None:
            failed_at, refusal = self._import_failed
            if self._loop.time() - failed_at < _FAILED_IMPORT_SECONDS:
                raise again(refusal)
            self._import_failed = None
        future: asyncio.Future[Instance] = self._loop.create_future()
        patience = self.limits.queue_time
        if patient:
            patience = max(patience, PATIENT_SECONDS)
        latest = self._loop.time() + patience + 2 * self._start_seconds
        waiter = Waiter(future, latest)
        waiter.timer = self._loop.call_later(patience, self._give_up, waiter)
        self._waiting.append(waiter)
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
            waiter.timer.cancel()

    @property
    def full(self) -> bool:
        """True if one more call would find no place in the queue."""
        # Calls that only wait for their own instance to start are not in anybody's way.
        room = max(0, self.limits.concurrency - self.busy)
        return len(self._waiting) - room >= self.limits.queue

    def _begin(self, instance: Instance) -> None:
        self.busy += 1
        self._share.begin(instance)

    def release(self, instance: Instance) -> None:
        """Take back an instance after its invocation; what is not reusable is replaced."""
        self.busy -= 1
        self._share.end(instance)
        if not instance.alive or self.retired or self._is_of_old(instance):
            instance.close()
            self._match()
        elif self.reuse:
            self._offer(instance)
        else:
            self._make_ready(instance)
            self._match()
        # After the answer: the caller does not wait for the refill.
        self._loop.call_soon(self._supply)

    def _make_ready(self, instance: Instance) -> None:
        """Have an instance restored if it is one that can be; end it else."""
        if self._zygote is None or not self.restored.begin(self._zygote, instance):
            self.restored.tally.forks += not instance.restorable
            instance.close()

    def _on_made_ready(self, instance: Instance, ready: bool) -> None:
        wanted = not self.retired or bool(self._waiting)
        if ready and wanted and not self._is_of_old(instance):
            self._offer(instance)
        else:
            instance.close()
        self._loop.call_soon(self._supply)

    def _give_up(self, waiter: Waiter) -> None:
        if waiter.future.done():
            return
        room = self.busy < self.limits.concurrency
        importing = self._opening or (self._imports_late and self._starting and room)
        if importing and self._loop.time() < waiter.latest:
            # A slow import is not a full queue; it has a deadline of its own.
            waiter.timer = self._loop.call_later(_IMPORT_POLL_SECONDS, self._give_up, waiter)
            return
        self._waiting.remove(waiter)
        refusal = throttled("The function has no free instance.", len(self._waiting), self.busy)
        waiter.future.set_exception(refusal)

    # -- supply --------------------------------------------------------------------------------

    def _supply(self) -> None:
        """Start the zygote or instances that the queue and the arrival rate ask for."""
        if self.retired and not self._waiting:
            return
        now = self._loop.time()
        wanted = self._wanted(now)
        if wanted <= 0:
            return
        zygote = self._zygote
        if zygote is None or not zygote.alive:
            self._open()
            return
        for _ in range(wanted):
            if not self._spawn(zygote):
                return

    def _spawn(self, zygote: Zygote) -> bool:
        try:
            # Whoever waits for the first one does not wait for it to be traced as well.
            restorable = self.restored.wanted(zygote) and not (self._waiting and not zygote.forks)
            instance = zygote.spawn(self._on_ready, self._on_end, restorable=restorable)
        except (OSError, CasemateError) as error:
            self._refuse_all(unavailable(error))
            return False
        self._starting[instance] = self._loop.time()
        return True

    def _wanted(self, now: float) -> int:
        waiting, spares = len(self._waiting), len(self._spares)
        starting = len(self._starting) + len(self.restored)
        total = self.busy + starting + spares
        if self.reuse:
            if total and waiting and not self._starting and self._patience is None:
                # Busy instances come back soon: start another only for who waits too long.
                self._patience = self._loop.call_later(_PATIENCE_SECONDS, self._impatient)
            return 1 if waiting and not total else 0
        target = self.arrivals.spares(now)
        need = waiting + target - starting - spares
        room = self.limits.concurrency + target - total
        return min(need, room, _MAX_STARTING - len(self._starting))

    def _impatient(self) -> None:
        """Start one more reusable instance if the head of the queue is still waiting."""
        self._patience = None
        # With a spare at hand it is the project's share that the queue waits for.
        wanted = self._waiting and not self._starting and not self._spares
        if not wanted or self.busy >= self.limits.concurrency:
            return
        zygote = self._zygote
        if zygote is None or not zygote.alive:
            self._open()
        else:
            self._spawn(zygote)

    def _open(self) -> None:
        if self._opening is None:
            self._opening = self._loop.create_task(self._open_zygote())

    async def _open_zygote(self) -> None:
        asked = self.version
        try:
            zygote = await self._client.open(asked)
        except (ImportFailedError, NotFoundError) as error:
            refusal = not_imported(error)
            self._import_failed = (self._loop.time(), refusal)
            self._refuse_all(refusal)
        except (OSError, CasemateError) as error:
            self._refuse_all(unavailable(error))
        else:
            self.adopt(zygote)
            if asked.spec.grants != self.version.spec.grants:
                self._retire_zygote(zygote)  # it may reach more than the version may by now
        finally:
            self._opening = None
        if self._zygote is not None:
            self._supply()

    def adopt(self, zygote: Zygote) -> None:
        """Fork instances from this zygote from now on."""
        self._zygote = zygote
        self._opened_at = self._loop.time()
        idle = max(self.limits.keep - _UNCALLED_SECONDS, 0.0)
        self.arrivals.last = max(self.arrivals.last, self._opened_at - idle)
        zygote.on_ended = lambda _reason: self._zygote_ended(zygote)
        if not zygote.alive:
            self._zygote_ended(zygote)

    def _zygote_ended(self, zygote: Zygote) -> None:
        if zygote is self._zygote:
            self._zygote = None
            if self._waiting:
                self._loop.call_soon(self._supply)
        elif zygote in self._old:
            self._old.remove(zygote)

    def _on_ready(self, instance: Instance) -> None:
        self._starting.pop(instance, None)
        if instance.restorable:
            self._make_ready(instance)
        else:
            self._offer(instance)
        # Others may still wait: forks under way at once are few.
        self._loop.call_soon(self._supply)

    def _on_end(self, instance: Instance) -> None:
        """An instance ended that served nobody: before it was ready, or as a spare."""
        since = next((at for spare, at in self._spares if spare is instance), self._loop.time())
        self._spares = deque(s for s in self._spares if s[0] is not instance)
        self.restored.forget(instance)
        if self._starting.pop(instance, None) is not None:
            # It failed to start: whoever waits longest is told, so that this cannot go on.
            self._refuse_next(
                start_failed(instance.last, self._start_seconds, imports_late=self._imports_late)
            )
        # Replacing what ends at once, with nobody waiting for it, would fork without end.
        if self._waiting or self._loop.time() - since >= _SETTLED_SECONDS:
            self._loop.call_soon(self._supply)

    def _offer(self, instance: Instance) -> None:
        """Keep a ready instance, and give it to the head of the queue if there is one."""
        self._spares.append((instance, self._loop.time()))
        self._match()

    def _match(self) -> None:
        """Bring the queue and the ready instances together, first come, first served."""
        while self._waiting and self._spares and self.busy < self.limits.concurrency:
            if not self._share.admits():
                self._share.hold(self)
                return
            waiter = self._waiting.popleft()
            if waiter.future.done():
                continue
            instance, _ = self._spares.pop()
            self._begin(instance)
            waiter.future.set_result(instance)

    resume = _match

    def _refuse_all(self, refusal: RefusedError) -> None:
        while self._waiting:
            self._refuse_next(again(refusal))

    def _refuse_next(self, refusal: RefusedError) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.future.done():
                waiter.future.set_exception(refusal)
                return

    # -- upkeep --------------------------------------------------------------------------------

    def tend(self, now: float) -> bool:
        """Let go of what is not needed; return False when nothing is left. Once a second."""
        idle = now - self.arrivals.last
        if self.reuse:
            while self._spares and now - self._spares[0][1] > _REUSED_IDLE_SECONDS:
                self._spares.popleft()[0].close()
        else:
            spares = self.arrivals.spares(now)
            while len(self._spares) > spares:
                self._spares.popleft()[0].close()
        for instance, since in list(self._starting.items()):
            if now - since > self._start_seconds:
                instance.expire()
        self.restored.tend(now)
        self._old = [z for z in self._old if not self._close_if_unused(z)]
        zygote = self._zygote
        unused = not (self._waiting or self.busy or self._starting or self.restored)
        if zygote is not None and unused and (self.retired or idle > self.limits.keep):
            self.close()
            zygote = None
        if zygote is not None and self._is_worn(zygote, now):
            self._retire_zygote(zygote)
        return bool(zygote or self._opening or self._old or self._waiting or self.busy)

    def _is_worn(self, zygote: Zygote, now: float) -> bool:
        """Instances of one zygote share the layout of their memory and their hash seed."""
        return now - self._opened_at > _RECYCLE_SECONDS or zygote.forks > _RECYCLE_FORKS

    def _retire_zygote(self, zygote: Zygote) -> None:
        while self._spares:
            self._spares.popleft()[0].close()
        self._old.append(zygote)
        self._zygote = None

    def _is_of_old(self, instance: Instance) -> bool:
        return any(z.instances.get(instance.number) is instance for z in self._old)

    @staticmethod
    def _close_if_unused(zygote: Zygote) -> bool:
        if zygote.alive and not zygote.instances:
            zygote.close()
        return not zygote.alive

    def close(self) -> None:
        """End every zygote and with them every instance."""
        while self._spares:
            self._spares.popleft()[0].close()
        for old in self._old:
            old.close()
        if self._zygote is not None:
            self._zygote.close()
            self._zygote = None

    def weigh(self, parts: int) -> None:
        """Give this function one of `parts` of its project's weight, when the CPU is short."""
        for zygote in (self._zygote, *self._old):
            if zygote is not None:
                zygote.weigh(parts)

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
        return self._zygote is not None
