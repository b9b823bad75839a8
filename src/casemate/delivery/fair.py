"""Who of those that have events to run gets the next slot: projects first, then their functions.

Start-time fair queueing (Goyal, Vin, Cheng 1996) on two levels. What a slot costs is the time that
it is held, so a function of long events gets fewer of them. As a slot cannot be taken back, nobody
gets all: a function may hold as many slots as are free, a project three times as many (dynamic
thresholds, Choudhury and Hahne 1998). So there is always one for who comes next.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import msgspec

_FUNCTION_SHARE = 1
_PROJECT_SHARE = 3
"""How many slots one may hold for each that is free."""
_LEAST_COST = 0.0005
_WEIGHT_OF_NEWEST = 0.2


class Slot(msgspec.Struct, frozen=True):
    """The right to run one event or batch of a function."""

    project: str
    function: str
    charged: float
    """Seconds that were charged in advance."""


class _Share:
    """What one project, or one function, holds and has had."""

    __slots__ = ("cost", "entry", "functions", "limit", "running", "virtual", "wanting")

    def __init__(self) -> None:
        self.virtual = 0.0
        self.cost = _LEAST_COST
        self.running = 0
        self.limit = 0
        self.wanting = False
        self.entry = 0
        """Number of its valid entry in the heap; 0: it has none."""
        self.functions = _Level()


class _Level:
    """Shares in the order of their virtual times."""

    __slots__ = ("clock", "heap", "number", "shares")

    def __init__(self) -> None:
        self.clock = 0.0
        self.heap: list[tuple[float, int, str]] = []
        self.number = 0
        self.shares: dict[str, _Share] = {}

    def share(self, name: str) -> _Share:
        share = self.shares.get(name)
        if share is None:
            share = self.shares[name] = _Share()
            share.virtual = self.clock
        return share

    def queue(self, name: str) -> None:
        """Have a share stand in line by its present virtual time."""
        share = self.shares[name]
        self.number += 1
        share.entry = self.number
        heapq.heappush(self.heap, (share.virtual, share.entry, name))

    def wake(self, name: str, share: _Share) -> None:
        """Have a share stand in line."""
        self.catch_up(share)
        if not share.entry:
            self.queue(name)

    def catch_up(self, share: _Share) -> None:
        """See that who was away has no claim to what it did not use."""
        if not share.running:
            share.virtual = max(share.virtual, self.clock)

    def first(self, may: Callable[[_Share, int], bool], free: int) -> str | None:
        """Take the first of those that may, with so many slots free, out of the line."""
        heap, aside = self.heap, []
        found = None
        while heap:
            entry = heapq.heappop(heap)
            share = self.shares.get(entry[2])
            if share is None or share.entry != entry[1]:
                continue
            if may(share, free):
                share.entry = 0
                found = entry[2]
                break
            aside.append(entry)
        for entry in aside:
            heapq.heappush(heap, entry)
        return found

    @property
    def has_line(self) -> bool:
        """True if any share stands in line."""
        for share in self.shares.values():  # noqa: SIM110 - most are one, a generator costs more
            if share.entry:
                return True
        return False

    def charge(self, share: _Share) -> float:
        self.clock = max(self.clock, share.virtual)
        share.virtual += share.cost
        share.running += 1
        return share.cost

    def settle(self, name: str, share: _Share, charged: float, seconds: float) -> None:
        share.running -= 1
        share.virtual = max(share.virtual + seconds - charged, 0.0)
        share.cost += (seconds - share.cost) * _WEIGHT_OF_NEWEST
        if share.entry:
            self.queue(name)


class FairShare:
    """Gives out `capacity` slots. Of who wants none, only what it had too much is remembered."""

    def __init__(self, capacity: int) -> None:
        """Give out at most so many at a time."""
        self.capacity = capacity
        self._projects = _Level()
        self._running = 0

    @property
    def running(self) -> int:
        """Slots that are held."""
        return self._running

    def want(self, project: str, function: str, limit: int) -> None:
        """Say that a function has something to run, of which at most `limit` at a time."""
        outer = self._projects.share(project)
        inner = outer.functions.share(function)
        inner.limit = limit
        inner.wanting = True
        self._line_up(project, outer, function, inner)

    def _line_up(self, project: str, outer: _Share, function: str, inner: _Share) -> None:
        if inner.running < inner.limit:
            outer.functions.wake(function, inner)
            self._projects.wake(project, outer)

    def rest(self, project: str, function: str) -> None:
        """Say that a function has nothing to run."""
        outer = self._projects.shares.get(project)
        inner = outer.functions.shares.get(function) if outer is not None else None
        if outer is None or inner is None:
            return
        inner.wanting = False
        inner.entry = 0
        self._forget(project, outer, function, inner)

    def take(self) -> Slot | None:
        """Return a slot for the one whose turn it is, None if nobody may have one."""
        free = self.capacity - self._running
        if free <= 0 or not self._projects.heap:
            return None
        project = self._projects.first(_project_may, free)
        if project is None:
            return None
        outer = self._projects.shares[project]
        function = outer.functions.first(_function_may, free)
        if function is None:  # not to be: `_project_may` has seen one
            self._projects.queue(project)
            return None
        inner = outer.functions.shares[function]
        charged = outer.functions.charge(inner)
        outer.cost = inner.cost
        self._projects.charge(outer)
        self._running += 1
        if inner.wanting and inner.running < inner.limit:
            outer.functions.queue(function)
        if outer.functions.has_line:
            self._projects.queue(project)
        return Slot(project, function, charged)

    def pass_on(self, slot: Slot, seconds: float) -> Slot | None:
        """Take back a slot that was held for so long, and give it to the same function again.

        None, and nothing is done, where another one may be whose turn it is: it is to be given
        back, and taken. With nobody in line it would come to the same, by more steps.
        """
        outer = self._projects.shares[slot.project]
        inner = outer.functions.shares[slot.function]
        if self._projects.heap or outer.functions.heap or not inner.wanting:
            return None
        free = self.capacity - self._running + 1
        if inner.running > min(inner.limit, _FUNCTION_SHARE * free):
            return None
        if outer.running > _PROJECT_SHARE * free:
            return None
        seconds = max(seconds, _LEAST_COST)
        outer.functions.settle(slot.function, inner, slot.charged, seconds)
        self._projects.settle(slot.project, outer, slot.charged, seconds)
        outer.functions.catch_up(inner)
        self._projects.catch_up(outer)
        charged = outer.functions.charge(inner)
        outer.cost = inner.cost
        self._projects.charge(outer)
        return Slot(slot.project, slot.function, charged)

    def give_back(self, slot: Slot, seconds: float) -> None:
        """Take back a slot that was held for so long."""
        seconds = max(seconds, _LEAST_COST)
        self._running -= 1
        outer = self._projects.shares[slot.project]
        inner = outer.functions.shares[slot.function]
        outer.functions.settle(slot.function, inner, slot.charged, seconds)
        self._projects.settle(slot.project, outer, slot.charged, seconds)
        if inner.wanting:
            self._line_up(slot.project, outer, slot.function, inner)
        else:
            self._forget(slot.project, outer, slot.function, inner)

    def _forget(self, project: str, outer: _Share, function: str, inner: _Share) -> None:
        """Forget who is behind nobody: it would start at the same time again."""
        if not inner.running and not inner.wanting and inner.virtual <= outer.functions.clock:
            del outer.functions.shares[function]
        if not outer.functions.shares and outer.virtual <= self._projects.clock:
            del self._projects.shares[project]


def _function_may(share: _Share, free: int) -> bool:
    return share.wanting and share.running < min(share.limit, _FUNCTION_SHARE * free)


def _project_may(share: _Share, free: int) -> bool:
    if share.running >= _PROJECT_SHARE * free:
        return False
    for inner in share.functions.shares.values():
        if inner.entry and _function_may(inner, free):
            return True
    return False
