"""When those who find no place in a queue are to come again."""

from __future__ import annotations

from casemate.dispatch.queued import QUEUE_FULL, throttled
from casemate.model.invocation import Outcome


def seconds(waiting: int, busy: int) -> list[int]:
    return [throttled(QUEUE_FULL, waiting, busy).retry_after or 0 for _ in range(12)]


def test_clients_are_spread_over_the_time_that_they_are_told() -> None:
    assert sorted(set(seconds(10, 1))) == [1, 2, 3]
    assert len(set(seconds(1000, 1))) == 12
    assert min(seconds(1000, 1)) >= 10


def test_nobody_is_told_to_stay_away_for_long() -> None:
    assert max(seconds(10**9, 0)) < 240
    refusal = throttled(QUEUE_FULL, 0, 0)
    assert (refusal.outcome, refusal.message) == (Outcome.THROTTLED, QUEUE_FULL)
