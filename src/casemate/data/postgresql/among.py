"""Which nodes share a project's data, as one of them knows, and what its part is.

The part is the same whoever computes it: who agrees on who is there agrees on all of it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from math import inf
from typing import Final, NamedTuple

from casemate.data.postgresql.catalogue import GONE_SECONDS
from casemate.data.terms import Holder

HELD_SECONDS: Final = GONE_SECONDS - 2.0
"""For so long after a node asked to be seen no other takes it for gone, with some to spare."""
JOINED_SECONDS: Final = HELD_SECONDS + 0.5
"""For so long a node that begins to take events has no share of limits: until each of the others
has seen it, or goes by nothing any more."""
MOST_SHARES: Final = 20_000
"""Shares that are remembered."""


class Living(NamedTuple):
    """A node that was seen of late."""

    holder: Holder
    takes: bool
    """It takes events."""


@dataclass(slots=True)
class Among:
    """What the engine said last. Replaced as a whole, but for `shares`."""

    own: Holder
    living: tuple[Living, ...] = ()
    led: frozenset[tuple[str, str]] = frozenset()
    """Kind of work and project."""
    began: float = 0.0
    """When the engine was asked, by a clock that goes on while the machine sleeps."""
    until: float = 0.0
    """When it does not hold any more, by the same clock."""
    shares_at: float = 0.0
    """From when on it has a share of limits, by the same clock."""
    gives: bool = False
    """Something of what was led is to be another node's once this one goes by this."""
    shares: dict[tuple[str, str, int], int] = field(default_factory=dict)
    """Those that were asked for."""
    _ranks: dict[str, int] = field(default_factory=dict)

    @property
    def is_alone(self) -> bool:
        """Tell whether no other node is there."""
        return all(one.holder == self.own for one in self.living)

    @property
    def takers(self) -> tuple[str, ...]:
        """Return the names of the nodes that take events, in order."""
        return tuple(sorted(one.holder.node for one in self.living if one.takes))

    def rank(self, what: str) -> int:
        """Return how many of the nodes that take events come before this one, as to something."""
        known = self._ranks.get(what)
        if known is None:
            if len(self._ranks) >= MOST_SHARES:
                self._ranks.clear()
            own = _rank(what, self.own.node)
            known = sum(_rank(what, node) < own for node in self.takers)
            self._ranks[what] = known
        return known

    def has_turn(self, what: str, turn: int) -> bool:
        """Tell whether it is this node's turn of those that take events; each has it in turn."""
        takers = self.takers
        begin = int.from_bytes(blake2b(what.encode(), digest_size=4).digest(), "big")
        return not takers or takers[(begin + turn) % len(takers)] == self.own.node

    def share(self, project: str, function: str, limit: int) -> int:
        """Return this node's part of a function's limit: none before it may have one."""
        if steady() < self.shares_at:
            return 0
        known = self.shares.get((project, function, limit))
        if known is None:
            if len(self.shares) >= MOST_SHARES:
                self.shares.clear()
            takers = [one.holder.node for one in self.living if one.takes]
            known = part(takers, self.own.node, f"{project}/{function}", limit)
            self.shares[project, function, limit] = known
        return known


class Joining:
    """From when on a node has a share of limits. Each node goes by what it saw last, so who begins,
    or begins again, waits until all that have a share have seen it; who goes is waited for by none,
    as it goes by nothing any more when others miss it."""

    def __init__(self) -> None:
        """It takes nothing yet."""
        self._until = 0.0
        self._shares_at = inf

    def look(self, began: float, ended: float, *, takes: bool, alone: bool) -> float:
        """Return from when on it has a share, of a look between two moments of its clock.

        `alone`: no other node takes events.
        """
        if not takes:
            self._shares_at = inf
        elif self._shares_at == inf or ended > self._until:
            # The latter: others may have missed it meanwhile, however early it began to look.
            self._shares_at = ended if alone else ended + JOINED_SECONDS
        self._until = began + HELD_SECONDS
        return self._shares_at


def steady() -> float:
    """Return seconds of a clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def part(nodes: Sequence[str], own: str, what: str, limit: int) -> int:
    """Return a node's part of a limit; those of all nodes add up to it.

    Which ones have one more than others, or any of a limit that is less than there are nodes,
    differs from function to function (rendezvous hashing). A node that is not among those that
    take events has the part that it would have if it were.
    """
    names = sorted({*nodes, own}, key=lambda node: _rank(what, node))
    each, more = divmod(limit, len(names))
    return each + (names.index(own) < more)


def first(nodes: Sequence[str], what: str) -> str:
    """Return the node that comes first as to something: one that has a part of any limit of it."""
    return min(nodes, key=lambda node: _rank(what, node))


def _rank(what: str, node: str) -> bytes:
    return blake2b(f"{what}/{node}".encode()).digest()
