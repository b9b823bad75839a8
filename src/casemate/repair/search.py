"""The smallest set of things to let go of, and the smallest steps, by questions alone.

Both searches know nothing of packages: they ask whether something holds, and rely on this alone
that letting go of more never makes it fail. What they return is smallest, not only small.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

MAX_QUESTIONS = 600
"""How often one search asks before it settles for what is not known to be smallest."""
MAX_SECONDS = 600.0
_MAX_SETS = 50_000
"""Sets that are looked at, without a question, for the next one to ask about."""

_MAX_SIZE = 500
"""Things in a set: each of them is a call deeper."""

Kept = frozenset[str]
Cost = tuple[int, ...]
Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")


class TooManyQuestionsError(Exception):
    """The search has asked as often, or for as long, as it may."""


class Questions(Generic[Key, Answer]):
    """Asks, each question once, within bounds that several searches share."""

    def __init__(
        self,
        ask: Callable[[Key], Answer],
        *,
        most: int = MAX_QUESTIONS,
        seconds: float = MAX_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask by `ask`, at most so often and so long."""
        self._ask = ask
        self._answers: dict[Key, Answer] = {}
        self._clock = clock
        self._until = clock() + seconds
        self._most = most
        self.asked = 0

    def __call__(self, key: Key) -> Answer:
        """Return the answer. Raises TooManyQuestionsError."""
        if key not in self._answers:
            if self.asked >= self._most or self._clock() > self._until:
                raise TooManyQuestionsError
            self.asked += 1
            self._answers[key] = self._ask(key)
        return self._answers[key]


def smallest_sets(
    things: Collection[str], holds: Callable[[Kept], bool], *, likely: Collection[str] = ()
) -> Iterator[Kept]:
    """Yield the smallest sets without which the rest can be kept; all of them have one size.

    `likely` are things that may well not be kept: to ask about each alone first saves questions.

    None if not even nothing can be kept. Each refusal gives a core, things that cannot be kept
    together; the sets are those that hit every core, the smallest first (implicit hitting sets).
    Raises TooManyQuestionsError.
    """
    everything = frozenset(things)
    if not holds(frozenset()):
        return
    cores = [frozenset((one,)) for one in sorted(likely) if not holds(frozenset((one,)))]
    asked: set[Kept] = set()
    for size in range(len(cores), len(everything) + 1):
        found = False
        while (dropped := _next(cores, size, asked)) is not None:
            asked.add(dropped)
            kept = everything - dropped
            if holds(kept):
                found = True
                yield dropped
            else:
                cores.append(frozenset(_core(holds, frozenset(), sorted(kept), asked=False)))
        if found:
            return


def _next(cores: Sequence[Kept], size: int, asked: set[Kept]) -> Kept | None:
    """Return a set of up to `size` things that hits every core and was not asked about."""
    looked = 0
    if size > _MAX_SIZE:
        raise TooManyQuestionsError

    def extend(chosen: Kept) -> Kept | None:
        nonlocal looked
        looked += 1
        if looked > _MAX_SETS:
            raise TooManyQuestionsError
        missed = next((core for core in cores if not core & chosen), None)
        if missed is None:
            return None if chosen in asked else chosen
        if len(chosen) == size:
            return None
        for one in sorted(missed):
            found = extend(chosen | {one})
            if found is not None:
                return found
        return None

    return extend(frozenset())


def _core(
    holds: Callable[[Kept], bool], kept: Kept, rest: Sequence[str], *, asked: bool
) -> Sequence[str]:
    """Return a smallest part of `rest` that cannot be kept together with `kept` (QuickXplain)."""
    if asked and not holds(kept):
        return ()
    if len(rest) == 1:
        return rest
    first, second = rest[: len(rest) // 2], rest[len(rest) // 2 :]
    behind = _core(holds, kept | set(first), second, asked=True)
    before = _core(holds, kept | set(behind), first, asked=bool(behind))
    return (*before, *behind)


def smallest_steps(
    costs: Mapping[str, Sequence[Cost]],
    holds: Callable[[Mapping[str, int]], bool],
    *,
    least: Mapping[str, int] | None = None,
) -> dict[str, int] | None:
    """Return how far each thing has to go, in steps, so that the sum of costs is least.

    `costs` never fall along a sequence, and `holds` says whether it is possible with nothing
    going farther than so many steps. `least` is what is known to be needed by some. None if it is
    not possible, however far. Raises TooManyQuestionsError.
    """
    names = sorted(costs)
    farthest = {name: len(costs[name]) - 1 for name in names}
    lowest = {name: min((least or {}).get(name, 0), farthest[name]) for name in names}
    if holds(lowest):
        return lowest
    if not holds(farthest):
        return None
    nearest = {name: _nearest(name, lowest[name], farthest, holds) for name in names}
    begin = tuple(nearest[name] for name in names)
    waiting: list[tuple[Any, ...]] = [(_sum(costs, names, begin), begin)]
    seen = {begin}
    while waiting:
        _, steps = heapq.heappop(waiting)
        if holds(dict(zip(names, steps, strict=True))):
            return dict(zip(names, steps, strict=True))
        for place, name in enumerate(names):
            if steps[place] < farthest[name]:
                farther = (*steps[:place], steps[place] + 1, *steps[place + 1 :])
                if farther not in seen:
                    seen.add(farther)
                    heapq.heappush(waiting, (_sum(costs, names, farther), farther))
        if len(seen) > _MAX_SETS:
            raise TooManyQuestionsError
    return None


def _nearest(
    name: str,
    low: int,
    farthest: Mapping[str, int],
    holds: Callable[[Mapping[str, int]], bool],
) -> int:
    """Return the least steps, `low` or more, that one thing needs, however far the others go."""
    high = farthest[name]
    while low < high:
        middle = (low + high) // 2
        if holds({**farthest, name: middle}):
            high = middle
        else:
            low = middle + 1
    return low


def _sum(costs: Mapping[str, Sequence[Cost]], names: Sequence[str], steps: Sequence[int]) -> Cost:
    parts = [costs[name][step] for name, step in zip(names, steps, strict=True)]
    return tuple(map(sum, zip(*parts, strict=True)))
