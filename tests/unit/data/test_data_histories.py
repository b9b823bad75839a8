"""What many callers at once are answered is what one after the other would have been."""

from __future__ import annotations

import asyncio
import random
import time

import pytest
from data_support import Data, end_of
from hypothesis import given
from hypothesis import strategies as st

from casemate.data import Fate
from casemate.model.errors import ConflictError, NotFoundError
from support.histories import (
    LOST,
    Attempt,
    Delete,
    Empty,
    Get,
    HistoryError,
    Put,
    Sent,
    Taken,
    lost_of,
    require_leases,
    require_queue,
    require_register,
)

# -- the checker -----------------------------------------------------------------------------------


def made_up(seed: int, *, lost: float = 0.2) -> list:
    """Return a right history: calls happen one after the other, and are seen around that moment."""
    draw = random.Random(seed)
    value, revision, highest, calls = None, 0, 0, []
    for moment in range(1, 25):
        began, ended = moment - draw.random() * 3, moment + draw.random() * 3
        condition = draw.choice([None, None, 0, revision, revision + 1])
        holds = condition is None or condition == revision
        is_lost = draw.random() < lost
        kind = draw.choice(["put", "put", "get", "get", "delete"])
        if kind == "get":
            calls.append(Get(began, ended, value if revision else None, revision))
            continue
        happened = holds and not (is_lost and draw.random() < 0.5)
        if kind == "put":
            if happened:
                highest += 1
                value, revision = moment, highest
            answer = None if is_lost else (highest if holds else 0)
            calls.append(Put(began, LOST if is_lost else ended, moment, answer, condition))
        else:
            if happened:
                value, revision = None, 0
            done = None if is_lost else holds
            calls.append(Delete(began, LOST if is_lost else ended, done, condition))
    draw.shuffle(calls)
    return calls


@given(st.integers(0, 2**32))
def test_what_happened_one_after_the_other_is_explained(seed: int) -> None:
    require_register(made_up(seed))


@given(st.integers(0, 2**32))
def test_a_read_of_what_was_never_there_is_found(seed: int) -> None:
    calls = made_up(seed, lost=0.0)
    with pytest.raises(HistoryError):
        require_register([*calls, Get(40.0, 41.0, "never", 9)])


@given(st.integers(0, 2**32))
def test_a_write_that_was_acknowledged_and_lost_is_found(seed: int) -> None:
    calls = [*made_up(seed, lost=0.0), Put(40.0, 41.0, "late", 99)]
    require_register([*calls, Get(42.0, 43.0, "late", 99)])
    with pytest.raises(HistoryError):
        require_register([*calls, Get(42.0, 43.0, None, 0)])


PLANTED = {
    "a stale read": [
        Put(0, 1, "a", 1),
        Put(2, 3, "b", 2),
        Get(4, 5, "a", 1),
    ],
    "two winners of one condition": [
        Put(0, 1, "a", 1),
        Put(2, 3, "b", 2, condition=1),
        Put(2, 3, "c", 3, condition=1),
    ],
    "a refusal of what held": [Put(0, 1, "a", 1), Put(2, 3, "b", 0, condition=1)],
    "a revision that falls": [Put(0, 1, "a", 5), Delete(2, 3, True), Put(4, 5, "b", 5)],
    "reads that go back": [
        Put(0, 9, "a", 1),
        Get(1, 2, "a", 1),
        Get(3, 4, None, 0),
    ],
    "a deletion that was not": [Put(0, 1, "a", 1), Delete(2, 3, True), Get(4, 5, "a", 1)],
    "a lost write that comes and goes": [
        Put(0, 1, "a", 1),
        Put(2, LOST, "b", None),
        Get(3, 4, "b", 2),
        Get(5, 6, "a", 1),
    ],
    "a lost write before it began": [Get(0, 1, "a", 1), Put(2, LOST, "a", None)],
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_violations_of_a_register_are_found(name: str) -> None:
    with pytest.raises(HistoryError):
        require_register(PLANTED[name])


def test_what_overlaps_may_be_seen_in_either_order() -> None:
    both = [Put(0, 5, "a", 1), Put(1, 6, "b", 2)]
    require_register([*both, Get(2, 3, "a", 1), Get(7, 8, "b", 2)])
    require_register([Put(0, 5, "a", 2), Put(1, 6, "b", 1), Get(7, 8, "a", 2)])
    require_register([Put(0, LOST, "a", None), Get(1, 2, None, 0), Get(3, 4, "a", 1)])


def test_what_would_take_for_ever_is_said_and_not_passed() -> None:
    calls = [Put(0, 100 + n, n, n % 7 + 1) for n in range(40)]
    with pytest.raises(HistoryError, match="overlap too much"):
        require_register(calls, most_states=2_000)


QUEUES = {
    "made up": ([Sent(0, 1, "a")], [Taken(2, 3, "b")], []),
    "taken before it was sent": ([Sent(4, 5, "a")], [Taken(2, 3, "a")], []),
    "taken twice": ([Sent(0, 1, "a")], [Taken(2, 3, "a"), Taken(4, 5, "a")], []),
    "overtaken": (
        [Sent(0, 1, "a"), Sent(2, 3, "b")],
        [Taken(4, 5, "b"), Taken(6, 7, "a")],
        [],
    ),
    "lost": ([Sent(0, 1, "a"), Sent(2, 3, "b")], [Taken(4, 5, "b")], []),
    "overlooked": ([Sent(0, 1, "a")], [Taken(5, 6, "a")], [Empty(2, 3)]),
    "overlooked, one after the other": (
        [Sent(0, 1, "a"), Sent(2, 3, "b")],
        [Taken(4, 9, "a"), Taken(8, 10, "b")],
        [Empty(3.5, 6)],
    ),
}


@pytest.mark.parametrize("name", QUEUES)
def test_planted_violations_of_a_queue_are_found(name: str) -> None:
    with pytest.raises(HistoryError):
        require_queue(*QUEUES[name])


def test_a_right_queue_passes() -> None:
    require_queue(
        [Sent(0, 1, "a"), Sent(0.5, 2, "b"), Sent(3, LOST, "c"), Sent(4, LOST, "d")],
        [Taken(1, 3, "b"), Taken(2, 4, "a"), Taken(5, 6, "d")],
        [Empty(0, 0.9), Empty(4.5, 4.6), Empty(7, 8)],
    )


ATTEMPTS = {
    "lost": ([Sent(0, 1, "a"), Sent(2, 3, "b")], [Attempt("b", 4, 5, 6, True)]),
    "lost by who had it no more": ([Sent(0, 1, "a")], [Attempt("a", 2, 8, 9, False)]),
    "settled twice": (
        [Sent(0, 1, "a")],
        [Attempt("a", 2, 3, 4, True), Attempt("a", 5, 6, 7, True)],
    ),
    "held at once": (
        [Sent(0, 1, "a"), Sent(0, 1, "b")],
        [Attempt("a", 2, 5, 6, True), Attempt("b", 3, 7, 8, True)],
    ),
    "out of order": (
        [Sent(0, 1, "a"), Sent(2, 3, "b")],
        [Attempt("b", 4, 5, 6, True), Attempt("a", 7, 8, 9, True)],
    ),
    "out of order, the later one with a lost answer": (
        [Sent(0, 1, "a"), Sent(2, 3, "b")],
        [Attempt("b", 4, 5, 6, True), Attempt("a", 7, 8, LOST, None)],
    ),
    "made up": ([Sent(0, 1, "a")], [Attempt("a", 2, 3, 4, True), Attempt("c", 5, 6, 7, True)]),
    "settled before it was sent": ([Sent(5, 6, "a")], [Attempt("a", 2, 3, 4, True)]),
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_planted_violations_of_leases_are_found(name: str) -> None:
    with pytest.raises(HistoryError):
        require_leases(*ATTEMPTS[name])


def test_right_leases_pass() -> None:
    """Also where leases ran out, answers were lost, and nobody knows whether something was sent."""
    sent = [Sent(0, 1, "a"), Sent(2, 3, "b"), Sent(4, LOST, "c"), Sent(5, LOST, "d")]
    attempts = [
        Attempt("a", 2, 9, 10, False),
        Attempt("a", 7, 8, LOST, None),
        Attempt("a", 11, 12, 13, True),
        Attempt("b", 14, 15, LOST, None),
        Attempt("c", 16, 17, 18, True),
    ]
    require_leases(sent, attempts)
    assert lost_of(sent, attempts) == []
    assert lost_of(sent, attempts[:3]) == ["b"]
    require_leases(sent, attempts[:3], ["b", "c"])


@pytest.mark.parametrize(
    ("left", "told"), [(["a"], "there again"), (["z"], "never sent"), ([], "not there")]
)
def test_what_is_left_is_what_was_sent_and_not_settled(left: list[str], told: str) -> None:
    sent = [Sent(0, 1, "a"), Sent(2, 3, "b")]
    attempts = [Attempt("a", 2, 3, 4, True)]
    require_leases(sent, attempts, ["b"])
    with pytest.raises(HistoryError, match=told):
        require_leases(sent, attempts, [*left, *(["b"] if left else [])])


# -- the data --------------------------------------------------------------------------------------

_CALLERS, _CALLS = 6, 18


def test_calls_of_many_for_one_item_are_those_of_a_register(data: Data) -> None:
    calls: list = []

    async def caller(seed: int) -> None:
        draw = random.Random(seed)
        for number in range(_CALLS):
            condition = draw.choice([None, 0, draw.randint(1, 40)])
            if condition is not None and calls and draw.random() < 0.7:
                condition = getattr(calls[-1], "revision", 0) or 0
            await asyncio.sleep(draw.choice([0, 0, 0.001]))
            kind, began = draw.choice(["put", "put", "get", "delete"]), time.monotonic()
            value = {"id": "k", "n": f"{seed}.{number}"}
            if kind == "put":
                try:
                    item = await data.port.put_item("p", "plain", value, if_revision=condition)
                    revision = item.revision
                except ConflictError:
                    revision = 0
                calls.append(Put(began, time.monotonic(), value["n"], revision, condition))
            elif kind == "get":
                try:
                    item = await data.port.get_item("p", "plain", "k")
                    found = (item.value["n"], item.revision)
                except NotFoundError:
                    found = (None, 0)
                calls.append(Get(began, time.monotonic(), *found))
            else:
                try:
                    await data.port.delete_item("p", "plain", "k", if_revision=condition)
                    done = True
                except ConflictError:
                    done = False
                calls.append(Delete(began, time.monotonic(), done, condition))

    async def all_of_them() -> None:
        await asyncio.gather(*(caller(seed) for seed in range(_CALLERS)))

    data.run(all_of_them())
    assert len(calls) == _CALLERS * _CALLS
    require_register(calls)


def test_messages_of_one_key_are_those_of_a_queue(data: Data) -> None:
    sent: list[Sent] = []
    taken: list[Taken] = []

    async def sender(number: int) -> None:
        for n in range(_CALLS):
            body, began = f"{number}.{n}".encode(), time.monotonic()
            await data.port.send("p", "queue", "jobs", body)
            sent.append(Sent(began, time.monotonic(), body))

    async def taker() -> None:
        while len(taken) < _CALLERS * _CALLS:
            began = time.monotonic()
            found = await data.port.lease("p", "queue", "jobs", 1, 60.0)
            for one in found:
                taken.append(Taken(began, time.monotonic(), one.body))
                await data.port.settle("p", "queue", "jobs", (end_of(one, Fate.DONE),))
            if not found:
                await asyncio.sleep(0.001)

    async def all_of_them() -> None:
        takers = [asyncio.ensure_future(taker()) for _ in range(3)]
        await asyncio.gather(*(sender(number) for number in range(_CALLERS)), *takers)

    data.run(all_of_them())
    require_queue(sent, taken)
