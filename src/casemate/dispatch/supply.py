"""When instances of one version are started: as the queue and the rate of calls ask for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from casemate.dispatch.arrivals import ArrivalRate
from casemate.dispatch.crowding import Crowding
from casemate.dispatch.failed_starts import unavailable
from casemate.dispatch.instances import Instances
from casemate.dispatch.pool_zygotes import PoolZygotes
from casemate.dispatch.queued import CallQueue
from casemate.dispatch.restored import SOON_SECONDS
from casemate.dispatch.shares import ProjectShare
from casemate.dispatch.starting import LONG_SECONDS
from casemate.dispatch.warm import Warm
from casemate.model.errors import CasemateError
from casemate.model.function import Limits
from casemate.sandbox.instance import Instance
from casemate.sandbox.zygote import Zygote

_MAX_STARTING = 4
"""Forks under way at once: a zygote forks one after the other, and others want the cores too."""
_PATIENCE_SECONDS = 0.003
"""How long a call waits for a busy, reusable instance before another one is started."""


class Supply:
    """Asks for instances and zygotes. All methods run on the event loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        limits: Limits,
        reuse: bool,
        instances: Instances,
        zygotes: PoolZygotes,
        waiting: CallQueue,
        share: ProjectShare,
        open_zygote: Callable[[], object],
        spawn: Callable[[Zygote, bool], Instance],
    ) -> None:
        """Start with nothing asked for.

        `spawn` forks an instance, with True one that can be restored, and raises OSError or
        CasemateError; `open_zygote` begins to open one.
        """
        self.retired = False
        """Whether instances are started for those calls alone that wait by now."""
        self.arrivals = ArrivalRate()
        self.warm = Warm()
        self._loop = loop
        self._limits = limits
        self._reuse = reuse
        self._instances = instances
        self._zygotes = zygotes
        self._waiting = waiting
        self._open_zygote = open_zygote
        self._spawn = spawn
        self._crowding = Crowding(loop, zygotes, instances.restored, self.arrivals, share)
        self._soon = False
        self._enough_until = 0.0
        """Until when those there are take all calls sooner than with one more beside them."""
        self._patience: asyncio.TimerHandle | None = None
        self._put_off = 0
        """Spares that are started once the first call has what it waits for."""

    def look_again(self) -> None:
        """Forget that there are enough: some have ended, or more are to be there."""
        self._enough_until = 0.0

    def later(self) -> None:
        """Do it once what is under way has been done; reused ones only while somebody waits."""
        if not self._soon and (self._waiting or not self._reuse or self.warm.count):
            self._soon = True
            self._loop.call_soon(self.at_once)

    def at_once(self) -> None:
        """Start the zygote or instances that the queue and the arrival rate ask for."""
        self._soon = False
        if self.retired and not self._waiting:
            return
        now = self._loop.time()
        if now < self._enough_until:
            if self._waiting:
                self._be_patient(SOON_SECONDS)
            return
        for _ in range(self._wanted(now)):
            zygote = self._zygotes.next()
            if zygote is None or not zygote.alive:
                self._open_zygote()
                return
            if not self.start(zygote):
                return

    def start(self, zygote: Zygote) -> bool:
        """Fork one more from a zygote; False if that cannot be, which those that wait are told."""
        try:
            # Whoever waits for the only one does not wait for it to be traced as well.
            only = self._instances.none
            restorable = self._instances.restored.wanted(zygote) and not (self._waiting and only)
            instance = self._spawn(zygote, restorable)
        except (OSError, CasemateError) as error:
            self.warm.failed(self._loop.time())
            self._waiting.refuse_all(unavailable(error))
            return False
        self._instances.starting.add(instance)
        return True

    def start_put_off(self) -> None:
        """Start, in a moment, the spares that were put off, if there are none by then."""
        if self._put_off:
            count, self._put_off = self._put_off, 0
            self._loop.call_later(SOON_SECONDS, self._start_spares, count)

    def _start_spares(self, count: int) -> None:
        instances, zygote = self._instances, self._zygotes.current
        room = min(self._limits.concurrency + count - instances.busy, _MAX_STARTING)
        missing = min(count, room) - len(instances.starting) - instances.lasting_spares()
        for _ in range(missing):
            if self.retired or zygote is None or not zygote.alive or not self.start(zygote):
                return

    def target(self, now: float) -> int:
        """Return how many instances are to wait for a call."""
        room = max(0, self._limits.concurrency - self._instances.busy)
        warm = 0 if self.retired else min(self.warm.count, room)
        return warm if self._reuse else max(self.arrivals.spares(now), warm)

    def _wanted(self, now: float) -> int:
        instances = self._instances
        waiting, spares = len(self._waiting), instances.lasting_spares()
        # A zygote that only `warm` needs is opened when its turn comes; see `Ahead`.
        ahead = self._zygotes.current is not None and self.warm.due(now)
        starting = len(instances.starting) + instances.being_made_ready()
        total = instances.busy + starting + spares
        if self._reuse:
            if total and waiting and not instances.starting:
                # Busy instances come back soon: start another only for who waits too long.
                self._be_patient(_PATIENCE_SECONDS)
            missing = self.target(now) + instances.busy - total if ahead else 0
            if self._zygotes.lacks_successors:
                missing = max(missing, 1)
            return min(max(missing, 1 if waiting and not total else 0), _MAX_STARTING - starting)
        target = self.target(now) if ahead else self.arrivals.spares(now)
        if waiting and total == (instances.starting.early is not None):
            # They would take the cores from the one that the first call waits for.
            target, self._put_off = 0, target
        zygote = self._zygotes.current
        used_again = zygote is not None and total > 0 and instances.restored.wanted(zygote)
        need = waiting + target - starting - spares
        room = self._limits.concurrency + target - total
        crowded = used_again and self._is_crowded()
        if crowded or (used_again and instances.restored.come_soon(waiting, total)):
            lasting = 0 if crowded else instances.restored.lasting(self.arrivals.rate(now))
            warm = self.warm.count - starting - spares if ahead else 0
            need = max(lasting - total, warm)
            if need <= 0:
                self._enough_until = now + SOON_SECONDS
            if waiting:
                self._be_patient(SOON_SECONDS)
        return min(need, room, _MAX_STARTING - len(instances.starting))

    def _is_crowded(self) -> bool:
        """Tell whether another one that is used again would only wait with those at work."""
        instances = self._instances
        busy = instances.busy + instances.starting.in_time() + instances.being_made_ready()
        return self._crowding.of_another(busy)

    def are_too_many(self) -> bool:
        """Tell whether one that is ready again had better end."""
        instances = self._instances
        total = instances.busy + len(instances.spares) + len(instances.restored)
        return self._crowding.of_all(total, self.warm.count)

    def _be_patient(self, seconds: float) -> None:
        if self._patience is None:
            self._patience = self._loop.call_later(seconds, self._impatient, seconds)

    def _impatient(self, seconds: float) -> None:
        """Start one more instance if the head of the queue has waited for so long."""
        self._patience = None
        instances = self._instances
        # With a spare at hand it is the project's share that the queue waits for.
        few = len(instances.starting) < _MAX_STARTING
        wanted = self._waiting and not instances.spares and few
        waited = self._loop.time() - self._waiting.longest_since
        crowded = waited < LONG_SECONDS and self._is_crowded()
        if wanted and (waited < seconds or crowded or instances.starting.in_time()):
            self._be_patient(seconds)
            return
        if not wanted or instances.busy >= self._limits.concurrency:
            return
        zygote = self._zygotes.next()
        if zygote is None or not zygote.alive:
            self._open_zygote()
        else:
            self.start(zygote)
