"""What keeping takes this node: processor time of batches that are sampled, by hour and by day.

The whole process is measured while a batch is kept: both threads that write, the journal's and the
records', and whatever else it does meanwhile. Only batches in which calls are; chosen by chance.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import SystemRandom

import msgspec

from casemate.model.estimate import Batches, Estimate, ratio
from casemate.model.usage import DAY, HOUR
from casemate.recorder.protocol import ENDED, Take
from casemate.sqlite import engine

ONE_IN = 16
MAX_US = 10**8
"""That one batch counts."""
_MOST = 2**61
_SUMS = ("batches", "requests", "us", "requests_squares", "products", "us_squares")
_ADD = f"""
    INSERT INTO keeping_cost (span, start, {", ".join(_SUMS)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET {", ".join(f"{n} = min({n} + excluded.{n}, {_MOST})" for n in _SUMS)}
"""  # noqa: S608 - names of ours
_ASKED = f"""
    SELECT {", ".join(f"coalesce(sum({name}), 0)" for name in _SUMS)}
    FROM keeping_cost WHERE span = ? AND start >= ? AND start < ?
"""  # noqa: S608 - names of ours


class KeepingCost(msgspec.Struct, frozen=True):
    """What one batch took."""

    requests: int
    us: int


class Stopwatch:
    """Measures some batches."""

    def __init__(self, one_in: float = ONE_IN) -> None:
        """Measure one in so many."""
        self._one_in = one_in
        self._chance = SystemRandom()
        self._found: list[KeepingCost] = []

    def begin(self, batches: Sequence[Take]) -> tuple[int, int] | None:
        """Begin to measure a batch, by its calls and the time; None where it is not sampled."""
        if self._chance.random() * self._one_in >= 1:
            return None
        requests = sum([told.kind == ENDED for batch in batches for told in batch.facts])
        return (requests, time.process_time_ns()) if requests else None

    def end(self, begun: tuple[int, int]) -> None:
        """The batch is durable."""
        requests, since = begun
        us = min((time.process_time_ns() - since) // 1000, MAX_US)
        self._found.append(KeepingCost(requests, us))

    def taken(self) -> list[KeepingCost]:
        """Take away what is not counted: to go with the next batch, in its transaction."""
        if not self._found:
            return []
        found, self._found = self._found, []
        return found


def count(connection: engine.Connection, cost: KeepingCost, now: float) -> None:
    """Add what a batch took, in a transaction of the caller's. Raises engine.Error."""
    n, us = cost.requests, cost.us
    for span in (HOUR, DAY):
        start = int(now // span * span)
        connection.execute(_ADD, (span, start, 1, n, us, n * n, n * us, us * us))


def asked(connection: engine.Connection, span: int, since: float, until: float) -> Estimate | None:
    """Return what keeping a request took in that time, by sums of hours or of days."""
    return ratio(Batches(*connection.execute(_ASKED, (span, since, until)).fetchone()))


def prune(connection: engine.Connection, span: int, before: float) -> None:
    """Forget sums that are older."""
    connection.execute("DELETE FROM keeping_cost WHERE span = ? AND start < ?", (span, before))
