"""When dependencies are imported ahead of a function's start, and when what has them is let go.

Made for functions that have no zygote, of which the project has several with equal dependencies;
one at a time, in a small part of the processor's time, and only where there is memory to spare. It
is what is let go of first.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Iterable

from casemate.dispatch.renewal import UNCALLED_SECONDS
from casemate.model.deployment import Version
from casemate.model.errors import CasemateError
from casemate.sandbox.dependency_zygotes import DependencyZygote, DependencyZygotes, Kind, Wanted

MOST, MOST_OF_PROJECT = 8, 2
"""Such zygotes of a node, and of a project."""
MAX_RESTING = 256
"""Versions without a zygote that are looked after, those that had one last."""
WITHOUT_SECONDS = 3600.0
"""How long a version is looked after once its zygote has gone: then nothing is left of it."""
IMPORT_SECONDS = 30.0
_PART = 4
"""Of the time from one import to the next, one part of so many is spent on it at most."""
_LEAST_PAUSE, _MOST_PAUSE = 1.0, 600.0
"""After what came to nothing; twice as long each time."""
_UNWANTED_SECONDS = 60.0
"""How long one is kept that no function could take now."""
_LASTED_SECONDS = 60.0
"""After which one that waits has not come to nothing."""
_LOOK_SECONDS = 10.0
_log = logging.getLogger(__name__)
Name = tuple[str, str, int]


def _name(version: Version) -> Name:
    return version.project, version.function, version.number


class DependenciesAhead:
    """Looks after the dependency zygotes of a node. All methods run on the event loop."""

    def __init__(self, zygotes: DependencyZygotes, loop: asyncio.AbstractEventLoop) -> None:
        """Have them made by `zygotes`."""
        self._zygotes = zygotes
        self._loop = loop
        zygotes.on_lost = self._lost
        self._without: OrderedDict[Name, tuple[Version, float]] = OrderedDict()
        """Versions whose zygote has gone, and which can be called again; and since when."""
        self._task: asyncio.Task[None] | None = None
        self._again_at = 0.0
        self._look_at = 0.0
        self._seen: tuple[int, ...] = ()
        self._failed: dict[Kind, tuple[float, float]] = {}
        """Until when not to try again, and how long that was."""
        self._unwanted: dict[int, float] = {}
        self.problems: OrderedDict[tuple[str, str], str] = OrderedDict()
        """Why it came to nothing lately, by the function whose dependencies they were."""

    # -- what there is -------------------------------------------------------------------------

    def left(self, version: Version) -> None:
        """Take note that a version has no zygote any more, and can be called."""
        if self._zygotes.wanted(version) is not None:
            self._without[_name(version)] = version, self._loop.time()
            self._without.move_to_end(_name(version))
            if len(self._without) > MAX_RESTING:
                self._without.popitem(last=False)

    def came(self, version: Version) -> None:
        """Take note that a version has a zygote, or is about to."""
        self._without.pop(_name(version), None)

    def retire(self, keep: set[Name]) -> None:
        """Forget versions that are not in `keep`, and end what was made of their bundles."""
        for name in [name for name in self._without if name not in keep]:
            del self._without[name]
        for zygote in self._zygotes:
            if _name(zygote.version) not in keep:
                self._zygotes.close(zygote)

    def contain(self, functions: frozenset[tuple[str, str]]) -> None:
        """End what was made of the bundles of functions in quarantine, and make no more of them."""
        for name in [name for name in self._without if name[:2] in functions]:
            del self._without[name]
        for zygote in self._zygotes:
            if (zygote.version.project, zygote.version.function) in functions:
                self._zygotes.close(zygote)

    @property
    def memory(self) -> int:
        """Bytes that they hold."""
        return self._zygotes.memory

    @property
    def active(self) -> bool:
        """Whether there is one to look after, or a version for which there might be."""
        return bool(self._without or self._zygotes.numbers())

    # -- upkeep --------------------------------------------------------------------------------

    def let_go(self, excess: int) -> int:
        """End as many as free so many bytes, those first that are made again soonest.

        Returns the bytes that they held.
        """
        freed = 0
        for zygote in sorted(self._zygotes, key=lambda one: one.seconds):
            if freed >= excess:
                break
            freed += zygote.memory
            self._zygotes.close(zygote)
        return freed

    def look(self, present: Iterable[Version], *, room: int) -> None:
        """End those that are of no use, and begin to make one that is. Once a second.

        `present` are the versions that have a zygote; `room` are the bytes that one may take.
        """
        now = self._loop.time()
        seen = (len(self._without), *(one.number for one in self._zygotes))
        if seen == self._seen and now < self._look_at:
            return
        self._seen, self._look_at = seen, now + _LOOK_SECONDS
        for name, (_, since) in list(self._without.items()):
            if now - since > WITHOUT_SECONDS:
                del self._without[name]
        without = [version for version, _ in self._without.values()]
        wanted = [one for version in without if (one := self._zygotes.wanted(version))]
        self._end_useless(wanted, now)
        if self._task is not None and not self._task.done():
            return
        due = self._due(wanted, present, now) if room > 0 and now >= self._again_at else None
        if due is None and now < self._again_at:
            self._look_at = min(self._look_at, self._again_at)
        if due is not None or self._zygotes.numbers():
            self._task = self._loop.create_task(self._work(due, room))

    def _end_useless(self, wanted: list[Wanted], now: float) -> None:
        for zygote in self._zygotes:
            since = self._unwanted.setdefault(zygote.number, now)
            if any(zygote.fits(one) for one in wanted):
                since = self._unwanted[zygote.number] = now
            if now - zygote.since > _LASTED_SECONDS:
                self._failed.pop(zygote.kind, None)
            if now - since > _UNWANTED_SECONDS or now - zygote.since > UNCALLED_SECONDS:
                self._zygotes.close(zygote)
        there = set(self._zygotes.numbers())
        self._unwanted = {n: at for n, at in self._unwanted.items() if n in there}

    def _due(self, wanted: list[Wanted], present: Iterable[Version], now: float) -> Wanted | None:
        """Return what to make one for.

        Of the projects that have fewest, what has come to nothing least often, where most would do.
        """
        waiting = list(self._zygotes)
        of_project = Counter(one.kind.project for one in waiting)
        have = {one.kind for one in waiting}
        lacking: dict[Kind, list[Wanted]] = {}
        for one in wanted:
            until, _ = self._failed.get(one.kind, (0.0, 0.0))
            full = of_project[one.kind.project] >= MOST_OF_PROJECT
            if one.kind not in have and not full and now >= until:
                lacking.setdefault(one.kind, []).append(one)
        if not lacking or len(waiting) >= MOST:
            return None
        functions: dict[Kind, set[str]] = {
            kind: {one.version.function for one in ones} for kind, ones in lacking.items()
        }
        for version in present:
            if any(kind.project == version.project for kind in lacking):
                other = self._zygotes.wanted(version)
                if other is not None and other.kind in functions:
                    functions[other.kind].add(version.function)
        several = [kind for kind in lacking if len(functions[kind]) > 1]
        if not several:
            return None

        def turn(kind: Kind) -> tuple[int, float, int]:
            # What came to nothing waits for what was not tried as often: there may be many of it.
            _, pause = self._failed.get(kind, (0.0, 0.0))
            return of_project[kind.project], pause, -len(lacking[kind])

        return _serving_most(lacking[min(several, key=turn)])

    async def _work(self, due: Wanted | None, room: int) -> None:
        """Look whether somebody vouches for what there is, then make one. Never raises."""
        await self._zygotes.verify()
        if due is None:
            return
        begun = self._loop.time()
        function = due.version.project, due.version.function
        try:
            made = await self._zygotes.prepare(due, seconds=IMPORT_SECONDS)
            if made.memory > room:
                self._zygotes.close(made)
        except (OSError, CasemateError) as error:
            self._came_to_nothing(due.kind, function, str(error))
        else:
            self.problems.pop(function, None)
        self._again_at = self._loop.time() + max(
            _LEAST_PAUSE, (_PART - 1) * (self._loop.time() - begun)
        )

    def _lost(self, zygote: DependencyZygote) -> None:
        function = zygote.version.project, zygote.version.function
        self._came_to_nothing(zygote.kind, function, zygote.reason)

    def _came_to_nothing(self, kind: Kind, function: tuple[str, str], problem: str) -> None:
        """Wait before the next try, each time twice as long."""
        _, pause = self._failed.get(kind, (0.0, 0.0))
        pause = min(max(2 * pause, _LEAST_PAUSE), _MOST_PAUSE)
        if len(self._failed) >= MAX_RESTING:
            self._failed.clear()
        self._failed[kind] = self._loop.time() + pause, pause
        self._tell(function, problem)

    def _tell(self, function: tuple[str, str], problem: str) -> None:
        if self.problems.get(function) != problem:
            _log.warning("dependencies of %s/%s are not imported ahead: %s", *function, problem)
        self.problems[function] = problem
        if len(self.problems) > MAX_RESTING:
            self.problems.popitem(last=False)

    def close(self) -> None:
        """End all, and make no more."""
        if self._task is not None:
            self._task.cancel()
        self._zygotes.close_all()


def _serving_most(wanted: list[Wanted]) -> Wanted:
    """Return the one of which the modules spare all functions together the most."""

    def spared(one: Wanted) -> tuple[int, int]:
        takers = sum(one.modules <= other.modules for other in wanted)
        return takers * len(one.modules), -one.version.spec.limits.memory

    return max(wanted, key=spared)
