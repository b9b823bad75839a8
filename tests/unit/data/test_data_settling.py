"""Many ends in one change: each is what it would be alone, and a stale one changes nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from data_support import Clock, Data, end_of

from casemate.data import Fate, InvocationState, Message, NewMessage, Subscription, kept
from casemate.data.work import Work
from casemate.model.errors import NotFoundError
from casemate.model.function import Delivery

FOR_SQLITE_ALONE: frozenset[str] = frozenset()


@pytest.fixture
def inbox(data: Data, clock: Clock) -> Data:
    data.subscribe("p", [Subscription(function="f", delivery=Delivery(keep_results=500.0))])
    return data


def send(data: Data, count: int, **fields: Any) -> None:
    new = [NewMessage(body=b"1", invocation=f"i{n}", **fields) for n in range(count)]
    data.send_many("p", "inbox", "f", new)


def lease(data: Data, limit: int = 200) -> tuple[Message, ...]:
    found: tuple[Message, ...] = data.lease("p", "inbox", "f", limit=limit, lease=60.0)
    return found


def settle(data: Data, ends: list[Any]) -> int:
    settled: int = data.settle("p", "inbox", "f", ends)
    return settled


def waiting(data: Data) -> int:
    number: int = data.queue_info("p", "inbox", "f").waiting
    return number


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 150])
def test_each_has_its_own_status(inbox: Data, count: int) -> None:
    send(inbox, count)
    ends = [
        end_of(one, Fate.DONE, status=200, result=b"%d" % n, content_type="text/plain")
        for n, one in enumerate(lease(inbox))
    ]
    assert settle(inbox, ends) == count
    assert waiting(inbox) == 0
    for number in range(count):
        found = inbox.invocation_status("p", f"i{number}")
        assert (found.state, found.result) == (InvocationState.SUCCEEDED, b"%d" % number)


def test_what_lost_its_lease_is_left_alone_among_others(inbox: Data, clock: Clock) -> None:
    send(inbox, 3)
    (stale,) = lease(inbox, limit=1)
    clock.pass_(61)
    again, *others = lease(inbox)
    assert (again.id, len(others)) == (stale.id, 2)
    ends = [end_of(one, Fate.DONE, status=200) for one in (stale, *others)]
    assert settle(inbox, ends) == 2
    assert waiting(inbox) == 1
    assert inbox.invocation_status("p", again.invocation).state is InvocationState.RUNNING
    assert settle(inbox, ends) == 0, "not a second time either"
    assert settle(inbox, [end_of(again, Fate.DONE, status=200)]) == 1


@pytest.mark.parametrize("changes", [{"fence": 7}, {"attempt": 7}])
def test_another_lease_is_not_this_one(inbox: Data, changes: dict[str, int]) -> None:
    send(inbox, 1)
    (one,) = lease(inbox)
    wrong = msgspec.structs.replace(end_of(one, Fate.DONE), **changes)
    assert settle(inbox, [wrong]) == 0 and waiting(inbox) == 1


def test_of_two_ends_of_one_message_the_first_counts(inbox: Data) -> None:
    send(inbox, 1)
    (one,) = lease(inbox)
    ends = [end_of(one, Fate.DONE, status=200), end_of(one, Fate.DONE, status=201)]
    assert settle(inbox, ends) == 1
    assert inbox.invocation_status("p", "i0").status == 200


def test_the_ends_of_another_inbox_are_not_touched(inbox: Data) -> None:
    both = [Subscription(function="f"), Subscription(function="g")]
    inbox.subscribe("p", both)
    send(inbox, 1)
    (one,) = lease(inbox)
    assert inbox.settle("p", "inbox", "g", [end_of(one, Fate.DONE)]) == 0
    assert waiting(inbox) == 1


def test_all_kinds_of_ends_together(inbox: Data) -> None:
    send(inbox, 4)
    done, retried, dead, told = lease(inbox)
    ends = [
        end_of(done, Fate.DONE, status=200),
        end_of(retried, Fate.RETRY),
        end_of(dead, Fate.DEAD, reason="timeout"),
        end_of(told, Fate.DONE, sends=(("inbox", "f", NewMessage(body=b"2")),)),
    ]
    assert settle(inbox, ends) == 4
    assert waiting(inbox) == 2, "one again, and one that was sent"
    states = [inbox.invocation_status("p", f"i{n}").state.value for n in range(4)]
    assert states == ["succeeded", "queued", "failed", "succeeded"]


def test_what_cannot_be_sent_leaves_all_unsettled(inbox: Data) -> None:
    send(inbox, 2)
    one, two = lease(inbox)
    sends = (("queue", "nowhere", NewMessage(body=b"2")),)
    with pytest.raises(NotFoundError):
        settle(inbox, [end_of(one, Fate.DONE), end_of(two, Fate.DONE, sends=sends)])
    assert waiting(inbox) == 2
    assert settle(inbox, [end_of(one, Fate.DONE), end_of(two, Fate.DONE)]) == 2


def test_the_next_of_each_key_comes_forward(inbox: Data) -> None:
    for key in ("a", "b"):
        send(inbox, 2, key=key)
    heads = lease(inbox)
    assert sorted(one.key for one in heads) == ["a", "b"]
    assert settle(inbox, [end_of(one, Fate.DONE) for one in heads]) == 2
    assert sorted(one.key for one in lease(inbox)) == ["a", "b"]


def test_results_are_kept_as_far_as_there_is_room(
    inbox: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MAX_RESULT_TOTAL_BYTES", 25)
    send(inbox, 4)
    sizes = (10, 20, 10, 5)
    ends = [
        end_of(one, Fate.DONE, status=200, result=b"x" * size)
        for one, size in zip(lease(inbox), sizes, strict=True)
    ]
    settle(inbox, ends)
    found = [inbox.invocation_status("p", f"i{n}").result for n in range(4)]
    assert [len(result) if result else 0 for result in found] == [10, 0, 10, 5]


def test_bytes_and_callers_are_counted_back(inbox: Data) -> None:
    send(inbox, 70, caller="token:a")
    settle(inbox, [end_of(one, Fate.DONE) for one in lease(inbox)])
    opened = inbox.opened()

    def look(work: Work) -> tuple[Any, ...]:
        number, held = work.connection.execute(
            "SELECT number, bytes FROM resource WHERE kind = 'inbox'"
        ).fetchone()
        (callers,) = work.connection.execute("SELECT count(*) FROM kept").fetchone()
        return number, held, callers

    async def ask() -> tuple[Any, ...]:
        return await opened.change(look)

    assert inbox.run(ask()) == (0, 0, 0)


def test_a_mark_is_handed_out_as_it_was_kept(inbox: Data) -> None:
    send(inbox, 1, admitted=b"m" * 64)
    (one,) = lease(inbox)
    assert one.admitted == b"m" * 64


def test_nothing_to_settle_is_nothing(inbox: Data) -> None:
    assert settle(inbox, []) == 0
