"""Whatever nodes do, and however late each is told of the others, shares are within the limit."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush

import pytest

from casemate.data.postgresql import among
from casemate.data.postgresql.among import HELD_SECONDS, Among, Joining, Living
from casemate.data.postgresql.catalogue import GONE_SECONDS
from casemate.data.postgresql.coordinator import BEAT_SECONDS
from casemate.data.terms import Holder

LIMITS = (1, 3, 5, 16)
SECONDS = 400.0


@dataclass
class Table:
    """Who was seen when, by the one clock of the database; and whether it takes events."""

    rows: dict[str, tuple[float, bool]] = field(default_factory=dict)

    def living(self, now: float) -> tuple[Living, ...]:
        there = (name for name, (at, _) in self.rows.items() if now - at < GONE_SECONDS)
        return tuple(Living(Holder(name, "life"), self.rows[name][1]) for name in sorted(there))


class Node:
    """One node: looks like a `Coordinator`, with pauses wherever there can be some."""

    def __init__(self, name: str, drawn: random.Random, now: list[float]) -> None:
        self.own, self.drawn, self.now = Holder(name, "life"), drawn, now
        # Each machine's clock has its own beginning, and goes a little wrong.
        self.offset, self.rate = drawn.uniform(-1e6, 1e6), drawn.uniform(0.99, 1.01)
        self.takes, self.dead = False, False
        self.left_at = -1e12
        self.joining, self.among = Joining(), Among(self.own)

    @property
    def clock(self) -> float:
        return self.offset + self.now[0] * self.rate

    def pause(self) -> float:
        """Return how long something takes: now and then the process is frozen."""
        return self.drawn.choice((0.001, 0.01, 0.1, 1.0, 4.9, self.drawn.uniform(0, 25)))

    def shares(self, limit: int) -> int:
        found = self.among
        if self.dead or not self.takes or found.began < self.left_at or self.clock >= found.until:
            return 0
        return found.share("p", "f", limit)

    def live(self, table: Table) -> Iterator[float]:
        """Yield for how long it waits between what it does."""
        while True:
            takes = self.takes
            if not takes:
                self.left_at = self.clock
            began = self.clock
            yield self.pause() if self.drawn.random() < 0.1 else 0.001
            table.rows[self.own.node] = (self.now[0], takes)
            yield self.pause() if self.drawn.random() < 0.1 else 0.001
            living = table.living(self.now[0])
            found = Among(self.own, living, began=began, until=began + HELD_SECONDS)
            alone = all(one.holder == self.own for one in living if one.takes)
            found.shares_at = self.joining.look(began, self.clock, takes=takes, alone=alone)
            yield self.pause() if self.drawn.random() < 0.1 else 0.001
            self.among = found
            yield max(0.0, BEAT_SECONDS - (self.clock - began))


def play(seed: int, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Return the most that was over a limit, and how often all of it was given."""
    drawn, now, table = random.Random(seed), [0.0], Table()
    asked: list[Node] = []
    monkeypatch.setattr(among, "steady", lambda: asked[-1].clock)
    nodes: list[Node] = []
    turns: list[tuple[float, int, Node, Iterator[float]]] = []

    def add() -> None:
        node = Node(f"n{len(nodes)}", drawn, now)
        nodes.append(node)
        heappush(turns, (now[0], len(nodes), node, node.live(table)))

    for _ in range(5):
        add()
    worst, full = -1000, 0
    while now[0] < SECONDS:
        at, order, node, steps = heappop(turns)
        now[0] = at
        if drawn.random() < 0.02:
            node.takes = not node.takes
        if drawn.random() < 0.001 and len(nodes) < 20:
            node.dead = True
            if drawn.random() < 0.5:
                table.rows.pop(node.own.node, None)  # it ended in order
            add()
        if not node.dead:
            heappush(turns, (at + next(steps), order, node, steps))
        for limit in LIMITS:
            together = 0
            for one in nodes:
                asked.append(one)
                together += one.shares(limit)
                asked.clear()
            worst, full = max(worst, together - limit), full + (together == limit)
    return worst, full


@pytest.mark.parametrize("seed", range(4))
def test_shares_are_never_more_than_the_limit(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    worst, full = play(seed, monkeypatch)
    assert worst == 0, "more than the limit, or never all of it"
    assert full > 100


def test_that_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wait of who begins there is more than the limit."""
    monkeypatch.setattr(among, "JOINED_SECONDS", 0.0)
    assert any(play(seed, monkeypatch)[0] > 0 for seed in range(6))
