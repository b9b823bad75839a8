"""Instances of one version that are restored after a call instead of forked for each."""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections import deque
from collections.abc import Callable, Iterator

from casemate.dispatch.tallies import Tally
from casemate.model.invocation import Outcome
from casemate.sandbox.instance import Instance
from casemate.sandbox.zygote import Zygote

_log = logging.getLogger(__name__)
_LAST = 50
_LEAST = 5
_MOST_PART = 0.2
"""Of the last calls that may leave something behind: a fork costs less than what comes of more."""
_FORK_SECONDS = 30.0
"""How long each call has a fork of its own then, before it is tried again."""
_MOST_CALLS = 10_000
_MOST_SECONDS = 60.0
"""After so many calls, or so long, an instance is replaced, which ends what is counted of its use.
Layout and seeds are its zygote's (`renewal.py`)."""
_EARLIER = 8
"""Those of a function do not end together, which would have its calls wait: up to three of so many
parts earlier, by their numbers."""
_READY_SECONDS = 1.0
"""Of which nothing is heard for so long is ended: it takes the place of others."""
_SLOW_SECONDS = 0.1
"""While one takes longer than this no others are asked for."""
SOON_SECONDS = 0.005
"""How long a call waits for one that is at work before another is forked, which takes as long."""
_MOST_SET_BACK = 6
"""One process sets all back, one after the other: where so many wait for it, others would too."""
_CORES = len(os.sched_getaffinity(0))
_LEAST_AT_WORK = _CORES + 4
"""While the cores are the bottleneck: another one would wait for them too, and its copies of pages
push those of the others out of the caches. Some more than can run, as each is half of its time on
its way between gateway and restorer: with three fewer, a quarter of two cores had nothing to do."""
_MOST_AT_WORK = _CORES + 12
"""Of those that write on few pages: gateway and restorer take what several of them tell at once,
which costs less for each (0.84 of a plain call's processor time with 14 instead of six)."""
_PAGES_AT_WORK = 400 * _CORES
"""Which all at work may write on together in a turn: with pandas a call writes on some 300, and
costs a tenth more with 14 of them."""
_BUSY_RATE = 150 * _CORES
"""Calls a second from which on it is the function itself that keeps the cores busy: each costs the
node half a millisecond beside the function's own work."""
_QUICK_PART = 0.25
"""Of the calls: where as many take a moment only, the others may take long for want of a core. On
cores that others keep busy the rate of calls does not tell."""
_QUICK_OF = 32
"""Calls that this is a mean of."""
_AT_WORK_SECONDS = 0.02
"""Whose call began so lately is taken to be on a core, or to wait for one; of an older one it is
likely that it waits for an answer from elsewhere."""
_TURNS = 8
"""Of which the length is a mean."""


class RestoredInstances:
    """Which are being made ready, and whether that is worth it for this version."""

    def __init__(
        self,
        name: str,
        loop: asyncio.AbstractEventLoop,
        done: Callable[[Instance, bool], None],
        tally: Tally,
        *,
        imports_late: bool = False,
    ) -> None:
        """Call `done` with an instance that was made ready, or could not be; count in `tally`.

        `imports_late`: an instance imports the module, and may end in that with its restorer.
        """
        self._name = name
        self._loop = loop
        self._done = done
        self._under_way: dict[Instance, float] = {}
        self._last: deque[bool] = deque(maxlen=_LAST)
        self._fork_until = 0.0
        self._blameless = {Outcome.CRASHED} | ({Outcome.INIT_ERROR} if imports_late else set())
        self._serving = self._setting_back = 0.0
        self._quick = 0.0
        self._pages = float(_PAGES_AT_WORK)
        self.tally = tally

    def __len__(self) -> int:
        """Return how many are being made ready."""
        return len(self._under_way)

    def __iter__(self) -> Iterator[Instance]:
        """Go through them."""
        return iter(self._under_way)

    def wanted(self, zygote: Zygote) -> bool:
        """Tell whether the next instance is to be one that is restored.

        Without a restorer none is: each would be ended once it is ready, and calls wait on.
        """
        now = self._loop.time()
        if not zygote.restores or now < self._fork_until:
            return False
        return all(now - since <= _SLOW_SECONDS for since in self._under_way.values())

    def come_soon(self, waiting: int, instances: int) -> bool:
        """Tell whether so many calls that wait get theirs from so many instances soon.

        Each that is forked instead takes processor time of those that serve.
        """
        return not waiting or 0 < self._turn * waiting <= SOON_SECONDS * instances

    def crowded(
        self, zygote: Zygote, rate: float, cores_are_short: Callable[[], bool], busy: int
    ) -> bool:
        """Tell whether so many are at work that one more would only wait with them.

        `busy` are those that serve, start or are set back.
        """
        if len(self._under_way) >= _MOST_SET_BACK:
            return True
        if busy >= self._most_at_work and self._quick >= _QUICK_PART and cores_are_short():
            return True
        return self.keep_cores_busy(zygote, rate, cores_are_short)

    def keep_cores_busy(
        self, zygote: Zygote, rate: float, cores_are_short: Callable[[], bool]
    ) -> bool:
        """Tell whether those at work have no core to spare for another one."""
        if rate < _BUSY_RATE or not cores_are_short():
            return False
        latest = self._loop.time() - _AT_WORK_SECONDS
        at_work = sum(
            one.begun > latest or one in self._under_way for one in zygote.instances.values()
        )
        return at_work >= self._most_at_work

    @property
    def most_of_use(self) -> int:
        """How many are enough for a function that is crowded: who waits takes all there are."""
        return self._most_at_work + 1

    @property
    def _most_at_work(self) -> int:
        fitting = int(_PAGES_AT_WORK / max(1.0, self._pages))
        return max(_LEAST_AT_WORK, min(_MOST_AT_WORK, fitting))

    @property
    def _turn(self) -> float:
        return self._serving + self._setting_back

    def lasting(self, rate: float) -> int:
        """Return how many are of use at so many calls a second: those at work, and one spare."""
        set_back = min(rate * self._setting_back, _MOST_SET_BACK)
        return max(1, math.ceil(rate * self._serving + set_back) + (self._turn > SOON_SECONDS))

    def begin(self, zygote: Zygote, instance: Instance) -> bool:
        """Have an instance made ready; False if it is not to be used again."""
        now = self._loop.time()
        if not instance.restorable or zygote.instances.get(instance.number) is not instance:
            return False
        lasts = 1 - (instance.number % 4) / _EARLIER
        if instance.served >= lasts * _MOST_CALLS or now - instance.born > lasts * _MOST_SECONDS:
            return False
        if instance.served:
            served = now - instance.begun
            self._serving += (served - self._serving) / _TURNS
            self._quick += ((served <= SOON_SECONDS) - self._quick) / _QUICK_OF
        self._under_way[instance] = now
        if zygote.make_ready(instance, self._told):
            return True
        del self._under_way[instance]
        return False

    def _told(self, instance: Instance, problem: str) -> None:
        waited = self._under_way.pop(instance, None)
        if waited is None:
            # It serves a call, or waits for one, and could not be made ready afterwards.
            instance.restorable = False
            return
        if problem and self.tally.discard(problem):
            _log.info("an instance of %s is not used again: %s", self._name, problem)
        elif not problem and instance.served:
            self.tally.restored += 1
            took = self._loop.time() - waited
            self._setting_back += (took - self._setting_back) / _TURNS
            self._pages += (instance.pages - self._pages) / _TURNS
        if self._loop.time() >= self._fork_until:  # those before are judged already
            self._last.append(not problem)
        failed = self._last.count(False)
        if len(self._last) >= _LEAST and failed > _MOST_PART * len(self._last):
            self._fork_until = self._loop.time() + _FORK_SECONDS
            self._last.clear()
        self._done(instance, not problem and instance.alive and instance.quiet())

    def blamed(self, instance: Instance) -> bool:
        """Tell whether one that ended while it started may have ended with who restores it.

        Then the next ones are forked for a moment, and are not to blame that again.
        """
        told = instance.last
        if not instance.restorable or (told is not None and told.outcome not in self._blameless):
            return False
        now = self._loop.time()
        if now < self._fork_until:  # it was asked for before: somebody waits for the others
            return True
        self._fork_until = now + _SLOW_SECONDS
        return True

    def forget(self, instance: Instance) -> None:
        """Take an instance for ended."""
        self._under_way.pop(instance, None)

    def tend(self, now: float) -> None:
        """End those of which nothing is heard."""
        for instance, since in list(self._under_way.items()):
            if now - since > _READY_SECONDS:
                self._told(instance, "nothing was heard of it")
