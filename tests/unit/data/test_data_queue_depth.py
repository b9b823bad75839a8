"""Handing out, ending and sending cost the same however many messages wait, and in which state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from data_support import Clock, Data, end_of

from casemate.data import Fate, NewMessage, Subscription, leasing
from casemate.data.work import Work

FEW, MANY = 20, 20_000
FILL = """
INSERT INTO message (queue, state, visible_at, attempts, priority, sent_at, key, invocation,
    qualifier, labels, body)
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :number)
SELECT :queue, :state, :due, 1, i % 3, :now, :key, 'w' || i, '', x'', x'31' FROM n
"""
STATES = {
    "ready": {"state": 1, "due": 0.0, "key": ""},
    "held back": {"state": 0, "due": 0.0, "key": "k"},
    "delayed": {"state": 2, "due": 1000.0, "key": ""},
    "leased": {"state": 3, "due": 1000.0, "key": ""},
}


def steps(data: Data, change: Callable[[Work], Any]) -> int:
    """Return how many steps the database's machine takes for a change, in hundreds."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    def run(work: Work) -> None:
        work.connection.set_progress_handler(count, 100)
        try:
            change(work)
        finally:
            work.connection.set_progress_handler(None, 0)

    async def submit() -> None:
        await data.opened().change(run)

    data.run(submit())
    return taken


def one_message(data: Data) -> int:
    """Return what it takes to send a message of a key, hand it out, end it, and bring the next."""
    opened = data.opened()
    inbox = opened.resource("inbox", "f")

    def change(work: Work) -> None:
        new = NewMessage(body=b"1", key="k", priority=9, invocation="i")
        opened.fanout.send(work, "inbox", "f", (new,))
        [message] = leasing.lease(work, inbox, opened.fanout, 1, 60.0)
        end = end_of(message, fate=Fate.DONE)
        assert leasing.settle(work, inbox, opened.fanout, [end]) == 1

    return steps(data, change)


@pytest.mark.parametrize("name", STATES)
def test_the_number_that_waits_does_not_matter(data: Data, clock: Clock, name: str) -> None:
    data.subscribe("p", [Subscription(function="f")])
    data.send_many("p", "inbox", "f", [NewMessage(body=b"1", key="k")])
    state = STATES[name]
    taken = []
    for number in (FEW, MANY):
        inbox = data.opened().resource("inbox", "f").id
        fields = {**state, "queue": inbox, "number": number, "now": clock.now}
        fields["due"] += clock.now

        def fill(work: Work, fields: dict[str, Any] = fields) -> None:
            work.connection.execute(FILL, fields)
            work.connection.execute(
                "UPDATE resource SET number = number + ? WHERE id = ?",
                (fields["number"], fields["queue"]),
            )

        steps(data, fill)
        taken.append(one_message(data))
    # To look at all of them would be more than a step for each: 200 hundreds.
    assert taken[1] <= taken[0] + 10, f"{taken} hundreds of steps"
