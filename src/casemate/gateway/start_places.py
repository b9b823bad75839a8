"""Places in which functions start, each for as long as it says: projects take turns at them.

Whose project has had them for less of late comes first. Where all are taken, the start that has
gone on for longer than everybody is promised, of the project that has had most, is ended for the
next. Nothing is ended where nobody waits.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from casemate.model.errors import UnavailableError

PROMISED_SECONDS = 120.0
"""So long a start goes on whoever waits: longer than imports of honest functions take."""
HALF_LIFE = 1800.0
"""Seconds after which half of what a project has had counts."""
_LOOK_AGAIN = 1.0
"""Seconds, where who is next to be ended is at something that is over soon."""
_MAX_KNOWN = 1024
"""Projects whose use is remembered, before what is too little to matter is forgotten."""


class StartPlace:
    """One start that has a place."""

    def __init__(self, projects: frozenset[str], since: float) -> None:
        """`since` is monotonic, in seconds."""
        self.projects = projects
        self.since = since
        self.ended = False
        """True once it was told to end, for somebody else."""
        self._bound: asyncio.Timeout | None = None

    @asynccontextmanager
    async def bounded(self, seconds: float) -> AsyncIterator[None]:
        """Within it what the place is held for may be ended.

        Raises TimeoutError after so many seconds, UnavailableError where others needed the place.
        """
        try:
            async with asyncio.timeout(seconds) as bound:
                self._bound = bound
                try:
                    yield
                finally:
                    self._bound = None
        except TimeoutError:
            if self.ended and bound.expired():
                raise UnavailableError(
                    f"The start was ended after more than {PROMISED_SECONDS:.0f} s: functions of "
                    "other projects wait to be started.",
                    next_step="Try again; if it stays so, deploy fewer functions at a time, or "
                    "have them import in less time.",
                ) from None
            raise

    def end(self) -> bool:
        """End the start if it can be now."""
        if self._bound is None:
            return False
        self.ended = True
        self._bound.reschedule(asyncio.get_running_loop().time())
        return True


class StartPlaces:
    """Those of a node, on its event loop."""

    def __init__(self, places: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Let so many start at a time; `clock` is monotonic, in seconds."""
        self._free = places
        self._clock = clock
        self._held: set[StartPlace] = set()
        self._waiting: dict[int, tuple[frozenset[str], asyncio.Future[None]]] = {}
        self._numbers = itertools.count()
        self._used: dict[str, tuple[float, float]] = {}
        """Of each project the seconds for which it had a place, and as of when."""
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def hold(self, projects: Iterable[str]) -> AsyncIterator[StartPlace]:
        """Wait for a place, and have it meanwhile."""
        asked = frozenset(projects)
        await self._take(asked)
        place = StartPlace(asked, self._clock())
        self._held.add(place)
        try:
            yield place
        finally:
            self._held.discard(place)
            self._charge(place)
            self._give()

    async def _take(self, projects: frozenset[str]) -> None:
        if self._free > 0:
            self._free -= 1
            return
        number, given = next(self._numbers), asyncio.get_running_loop().create_future()
        self._waiting[number] = (projects, given)
        self._look()
        try:
            await given
        except asyncio.CancelledError:
            if given.done() and not given.cancelled():
                self._give()  # to the next: whom it was given to has gone
            raise
        finally:
            self._waiting.pop(number, None)

    def _give(self) -> None:
        """Give a place that has become free to whoever has had least, first come first."""
        if not self._waiting:
            self._free += 1
            return
        number = min(self._waiting, key=lambda each: (self._use_of(self._waiting[each][0]), each))
        _, given = self._waiting.pop(number)
        if given.done():  # cancelled at this moment
            self._give()
            return
        given.set_result(None)
        self._look()

    # -- who is ended ----------------------------------------------------------------------------

    def _look(self) -> None:
        """End one start for each that waits, where there is one that has had its time and more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        missing = len(self._waiting) - sum(place.ended for place in self._held)
        if missing <= 0:
            return
        least = sorted(self._use_of(projects) for projects, _ in self._waiting.values())
        left = sorted(
            (place for place in self._held if not place.ended), key=self._had, reverse=True
        )
        again = PROMISED_SECONDS
        for place in left:
            promised = place.since + PROMISED_SECONDS - self._clock()
            if promised > 0:
                again = min(again, promised)
            elif missing > 0 and self._had(place) > least[len(least) - missing]:
                missing -= place.end()
                again = _LOOK_AGAIN
        self._timer = asyncio.get_running_loop().call_later(max(again, 0.001), self._look)

    # -- what was had ----------------------------------------------------------------------------

    def _had(self, place: StartPlace) -> float:
        return self._use_of(place.projects) + self._clock() - place.since

    def _use_of(self, projects: Iterable[str]) -> float:
        """Return what the one of some projects has had that has had most."""
        return max((self._use(project) for project in projects), default=0.0)

    def _use(self, project: str) -> float:
        had, at = self._used.get(project, (0.0, 0.0))
        return had * math.exp2((at - self._clock()) / HALF_LIFE)

    def _charge(self, place: StartPlace) -> None:
        now = self._clock()
        seconds = now - place.since
        for project in place.projects:
            self._used[project] = (self._use(project) + seconds, now)
        if len(self._used) > _MAX_KNOWN:
            most = sorted(self._used, key=self._use, reverse=True)
            self._used = {project: self._used[project] for project in most[: _MAX_KNOWN // 2]}
