"""How asynchronous invocations stand, idempotency keys, results, dead letters and positions."""

from __future__ import annotations

from typing import Any

import pytest
from data_support import Clock, Data, end_of

from casemate.data import (
    DataFullError,
    DataOptions,
    Fate,
    InvocationState,
    InvocationStatus,
    LimitError,
    NewMessage,
    Settlement,
    Subscription,
    invocations,
    letters,
    messages,
)
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError
from casemate.model.function import Delivery

FOR_SQLITE_ALONE: frozenset[str] = frozenset(
    {
        "test_what_follows_from_an_end_is_kept_with_it_or_not_at_all",
        "test_all_of_it_goes_along_with_new_keys_and_copies",
    }
)

EVENT = b'{"id":"1","type":"shop.order","trigger":"q","data":1}'


@pytest.fixture
def inbox(data: Data, clock: Clock) -> Data:
    data.subscribe("p", [Subscription(function="f", delivery=Delivery(keep_results=500.0))])
    return data


def send(data: Data, invocation: str = "i1", **fields: Any) -> str:
    new = NewMessage(body=EVENT, invocation=invocation, **fields)
    (identity,) = data.send_many("p", "inbox", "f", [new])
    return identity


def settle(data: Data, fate: Fate, **fields: Any) -> int:
    [message] = data.lease("p", "inbox", "f", limit=1, lease=60.0)
    settlement = end_of(message, fate=fate, **fields)
    return data.settle("p", "inbox", "f", [settlement])


def state(data: Data, invocation: str = "i1") -> InvocationState:
    return data.invocation_status("p", invocation).state


def ended(invocation: str, **fields: Any) -> InvocationStatus:
    return InvocationStatus(
        id=invocation,
        function="f",
        state=InvocationState.SUCCEEDED,
        attempts=1,
        accepted_at=1.0,
        finished_at=2.0,
        **fields,
    )


def test_from_queued_to_its_result_until_that_is_not_kept(inbox: Data, clock: Clock) -> None:
    with pytest.raises(NotFoundError):
        state(inbox)
    send(inbox)
    assert state(inbox) is InvocationState.QUEUED
    settle(inbox, Fate.RETRY)
    assert state(inbox) is InvocationState.QUEUED
    inbox.lease("p", "inbox", "f", limit=1, lease=60.0)
    assert state(inbox) is InvocationState.RUNNING
    clock.pass_(60)
    settle(inbox, Fate.DONE, status=200, result=b"{}", content_type="application/json")
    found = inbox.invocation_status("p", "i1")
    assert (found.state, found.attempts, found.status) == (InvocationState.SUCCEEDED, 3, 200)
    assert (found.result, found.content_type) == (b"{}", "application/json")
    clock.pass_(499)
    inbox.sweep()
    assert state(inbox) is InvocationState.SUCCEEDED
    clock.pass_(1)
    with pytest.raises(NotFoundError):
        state(inbox)
    inbox.sweep()
    with pytest.raises(NotFoundError):
        state(inbox)


def test_a_large_result_is_not_kept_but_the_end_is(inbox: Data, monkeypatch) -> None:
    monkeypatch.setattr(invocations, "MAX_KEPT_RESULT", 3)
    send(inbox)
    settle(inbox, Fate.DONE, result=b"1234")
    found = inbox.invocation_status("p", "i1")
    assert (found.state, found.result) == (InvocationState.SUCCEEDED, None)


def test_what_dead_events_are_about_is_told(inbox: Data, monkeypatch) -> None:
    about = [b'{"subject":"in/1.jpg"}', EVENT, b"[1]", b'{"subject":1}', b'{"subject":"in/2.jpg"}']
    for body in about:
        inbox.send_many("p", "inbox", "f", [NewMessage(body=body, invocation="i1")])
        settle(inbox, Fate.DEAD)
    ids = tuple(letter.id for letter in inbox.dead_letters("p", "inbox", "f"))
    asked = (*ids, f"{10**9:016x}")
    assert inbox.letter_subjects("p", asked) == {ids[0]: "in/1.jpg", ids[-1]: "in/2.jpg"}
    monkeypatch.setattr(letters, "_MAX_READ", len(about[0]) + 60)
    assert inbox.letter_subjects("p", asked) == {ids[0]: "in/1.jpg"}, "no more is read"


def test_the_latest_ends_are_kept(inbox: Data, monkeypatch) -> None:
    monkeypatch.setattr(invocations, "MAX_ENDS", 2)
    for number in range(4):
        inbox.begin_invocation("p", "f", f"k{number}", "one", f"i{number}")
        inbox.finish_invocation("p", ended(f"i{number}"))
    inbox.sweep()
    assert inbox.begin_invocation("p", "f", "k3", "one", "x").id == "i3"
    assert inbox.begin_invocation("p", "f", "k2", "one", "x").id == "i2"
    assert inbox.begin_invocation("p", "f", "k1", "one", "i9") is None
    with pytest.raises(NotFoundError):
        inbox.invocation_status("p", "i0")


def test_a_dead_letter_tells_why_and_can_be_sent_again(inbox: Data, clock: Clock) -> None:
    send(inbox, key="k", qualifier="v3", expires_at=clock.now + 100, labels=b"l")
    clock.pass_(40)
    settle(inbox, Fate.DEAD, reason="timeout", error_id="err_1")
    [letter] = inbox.dead_letters("p", "inbox", "f")
    assert (letter.kind, letter.name, letter.trigger) == ("inbox", "f", "q")
    assert (letter.event_type, letter.reason, letter.error_id) == ("shop.order", "timeout", "err_1")
    assert (letter.attempts, letter.size, letter.invocation) == (1, len(EVENT), "i1")
    assert inbox.dead_letter("p", letter.id) == (letter, EVENT)
    failed = inbox.invocation_status("p", "i1")
    assert (failed.state, failed.reason) == (InvocationState.FAILED, "timeout")
    assert inbox.redrive("p", "inbox", "f", [letter.id, letter.id]) == 1
    assert inbox.redrive("p", "inbox", "f", None) == 0
    assert state(inbox) is InvocationState.QUEUED
    [again] = inbox.lease("p", "inbox", "f", limit=9, lease=60.0)
    assert (again.body, again.attempts, again.key, again.qualifier) == (EVENT, 1, "k", "v3")
    assert (again.expires_at, again.labels) == (clock.now + 100, b"l")
    with pytest.raises(NotFoundError):
        inbox.dead_letter("p", letter.id)


def test_letters_come_in_pages_and_go_with_time(inbox: Data, clock: Clock) -> None:
    for number in range(5):
        send(inbox, f"i{number}")
        settle(inbox, Fate.DEAD, reason=str(number))
    first = inbox.dead_letters("p", "inbox", "f", limit=2)
    rest = inbox.dead_letters("p", "inbox", "f", after=first[-1].id)
    assert [letter.reason for letter in (*first, *rest)] == list("01234")
    assert inbox.purge_dead("p", "inbox", "f", [first[0].id]) == 1
    assert inbox.queue_info("p", "inbox", "f").dead == 4
    clock.pass_(14 * 86_400)
    inbox.sweep()
    assert inbox.dead_letters("p", "inbox", "f") == ()
    assert inbox.queue_info("p", "inbox", "f").dead == 0


def test_many_letters_are_sent_again_in_batches(inbox: Data, monkeypatch) -> None:
    monkeypatch.setattr("casemate.data.letters._BATCH", 2)
    for number in range(5):
        send(inbox, f"i{number}")
        settle(inbox, Fate.DEAD)
    ids = [letter.id for letter in inbox.dead_letters("p", "inbox", "f")]
    assert inbox.redrive("p", "inbox", "f", ids[:3]) == 3
    assert inbox.redrive("p", "inbox", "f", None) == 2
    assert inbox.queue_info("p", "inbox", "f").waiting == 5


def test_a_queue_that_nobody_consumes_drops_what_is_too_old(data: Data, clock: Clock) -> None:
    data.send("p", "queue", "jobs", b"1")
    clock.pass_(1000)
    data.sweep()
    assert data.dead_letters("p", "queue", "jobs") == ()


def test_what_follows_from_an_end_is_kept_with_it_or_not_at_all(inbox: Data, monkeypatch) -> None:
    send(inbox)
    gone = ("queue", "nowhere", NewMessage(body=b"1"))
    kept = ("queue", "rest", NewMessage(body=b"1"))
    with pytest.raises(NotFoundError):
        settle(inbox, Fate.DONE, sends=(kept, gone))
    assert state(inbox) is InvocationState.RUNNING
    assert inbox.queue_info("p", "queue", "rest").waiting == 0
    inbox.resume("p")
    settle(inbox, Fate.DONE, sends=(kept, ("inbox", "f", NewMessage(body=b"2"))))
    assert inbox.queue_info("p", "queue", "rest").waiting == 1
    assert inbox.queue_info("p", "inbox", "f").waiting == 1


def test_an_idempotency_key_gives_the_first_invocation(inbox: Data, clock: Clock) -> None:
    assert inbox.begin_invocation("p", "f", "key", "one", "i1") is None
    assert inbox.begin_invocation("p", "other", "key", "two", "i2") is None
    assert inbox.begin_invocation("p", "f", "key", "one", "i3").id == "i1"
    with pytest.raises(ConflictError):
        inbox.begin_invocation("p", "f", "key", "two", "i3")
    inbox.finish_invocation("p", ended("i1", status=201, result=b"1"))
    clock.pass_(499)
    first = inbox.begin_invocation("p", "f", "key", "one", "i3")
    assert (first.status, first.result) == (201, b"1")
    clock.pass_(1)
    inbox.sweep()
    assert inbox.begin_invocation("p", "f", "key", "two", "i4") is None


def test_what_a_removed_function_leaves_is_nobody_elses(inbox: Data, monkeypatch) -> None:
    """Events become dead letters; ends and idempotency keys are not the next function's."""
    monkeypatch.setattr("casemate.data.letter_port._FORGOTTEN_AT_ONCE", 1)
    inbox.subscribe("p", [Subscription(function="f"), Subscription(function="g")])
    assert inbox.begin_invocation("p", "f", "key", "one", "i1") is None
    assert inbox.begin_invocation("p", "g", "key", "one", "of g") is None
    for name in ("i1", "of g"):
        inbox.finish_invocation("p", ended(name, status=200, result=b"1"))
    for number in range(2, 6):
        send(inbox, f"i{number}", key="k")
    send(inbox, "i6", delay=100.0)
    [running] = inbox.lease("p", "inbox", "f", limit=1, lease=60.0)
    assert inbox.give_up("p", "f") == 5
    letters = inbox.dead_letters("p", "inbox", "f")
    assert {letter.reason for letter in letters} == {"removed"} and len(letters) == 5
    assert inbox.queue_info("p", "inbox", "f").waiting == 0
    assert inbox.lease("p", "inbox", "f", limit=9, lease=60.0) == ()
    inbox.settle("p", "inbox", "f", [end_of(running, fate=Fate.RETRY)])
    assert inbox.lease("p", "inbox", "f", limit=9, lease=60.0) == ()
    for number in range(1, 7):
        with pytest.raises(NotFoundError):
            state(inbox, f"i{number}")
    assert inbox.begin_invocation("p", "f", "key", "another", "i7") is None
    assert inbox.begin_invocation("p", "g", "key", "one", "i8").id == "of g"
    assert inbox.give_up("p", "f") == 0
    assert inbox.give_up("p", "nothing") == inbox.give_up("nowhere", "f") == 0


def test_an_abandoned_claim_is_free(inbox: Data) -> None:
    assert inbox.begin_invocation("p", "f", "key", "one", "i1") is None
    inbox.abandon_invocation("p", "i1")
    assert inbox.begin_invocation("p", "f", "key", "two", "i2") is None


def test_a_claim_whose_node_died_is_free_unless_its_event_was_kept(inbox: Data) -> None:
    assert inbox.begin_invocation("p", "f", "lost", "one", "i1") is None
    assert inbox.begin_invocation("p", "f", "kept", "one", "i2") is None
    send(inbox, "i2")
    inbox.reopen()
    assert inbox.begin_invocation("p", "f", "lost", "one", "i3") is None
    assert inbox.begin_invocation("p", "f", "kept", "one", "i4").id == "i2"


def test_of_many_that_claim_at_once_one_does(inbox: Data) -> None:
    import asyncio

    async def race() -> list[InvocationStatus | None]:
        return await asyncio.gather(
            *(inbox.port.begin_invocation("p", "f", "k", "one", f"i{n}") for n in range(20))
        )

    found = inbox.run(race())
    assert found.count(None) == 1
    assert len({status.id for status in found if status is not None}) == 1


def test_a_position_moves_with_what_was_sent(inbox: Data, monkeypatch) -> None:
    assert inbox.position("p", "s") is None
    assert inbox.position("nowhere", "s") is None
    sends = (("inbox", "f", NewMessage(body=b"1")), ("queue", "rest", NewMessage(body=b"2")))
    assert inbox.advance("p", "s", b"1", expected=None, sends=sends)
    assert not inbox.advance("p", "s", b"2", expected=None, sends=sends)
    assert not inbox.advance("p", "s", b"2", expected=b"0", sends=sends)
    assert inbox.queue_info("p", "inbox", "f").waiting == 1
    assert inbox.advance("p", "s", b"2", expected=b"1")
    monkeypatch.setattr(messages, "MAX_MESSAGES", 1)
    with pytest.raises(LimitError):
        inbox.advance("p", "s", b"3", expected=b"2", sends=sends)
    inbox.reopen()
    assert inbox.position("p", "s") == b"2"


def test_what_is_purged_is_told_of(inbox: Data) -> None:
    send(inbox)
    assert inbox.purge("p", "inbox", "f") == 1
    found = inbox.invocation_status("p", "i1")
    assert (found.state, found.reason) == (InvocationState.FAILED, "purged")


def test_resume_tells_where_something_waits(inbox: Data, clock: Clock) -> None:
    send(inbox)
    inbox.lease("p", "inbox", "f", limit=1, lease=60.0)
    inbox.send("p", "queue", "rest", b"1", delay=5.0)
    inbox.reopen()
    found = {(kind, name): due for kind, name, due in inbox.resume("p")}
    assert found == {("inbox", "f"): clock.now, ("queue", "rest"): clock.now + 5}
    assert inbox.resume("nowhere") == ()
    [message] = inbox.lease("p", "inbox", "f", limit=9, lease=60.0)
    assert message.attempts == 2


def test_all_of_it_goes_along_with_new_keys_and_copies(inbox: Data, tmp_path) -> None:
    send(inbox, "i1")
    send(inbox, "i2", priority=-1)
    settle(inbox, Fate.DEAD)
    inbox.advance("p", "s", b"1", expected=None)
    inbox.vault.newest = 2
    inbox.rekey("p")
    inbox.snapshot(tmp_path / "copy")
    copy = Data(tmp_path / "copy", inbox.vault, resources=None)
    for place in (inbox, copy):
        assert len(place.dead_letters("p", "inbox", "f")) == 1
        assert state(place, "i1") is InvocationState.FAILED
        assert place.position("p", "s") == b"1"
        assert [m.invocation for m in place.lease("p", "inbox", "f", limit=9, lease=9.0)] == ["i2"]
    copy.finish()


def test_a_dropped_inbox_leaves_nothing(inbox: Data) -> None:
    send(inbox)
    settle(inbox, Fate.DEAD)
    send(inbox, "i2")
    inbox.drop("p", "inbox", "f")
    inbox.sweep()

    async def left() -> list[tuple[int]]:
        tables = ("message", "letter", "dropped")
        return await inbox.opened().read(
            lambda c: [c.execute(f"SELECT count(*) FROM {t}").fetchone() for t in tables]
        )

    assert inbox.run(left()) == [(0,), (0,), (0,)]
    inbox.subscribe("p", [Subscription(function="f", delivery=Delivery(keep_results=500.0))])
    send(inbox)


@pytest.mark.parametrize(
    "fields",
    [
        {"key": "x" * 1025},
        {"key": 5},
        {"priority": 101},
        {"priority": 1.0},
        {"priority": True},
        {"expires_at": float("nan")},
        {"expires_at": -1.0},
        {"labels": "text"},
        {"labels": b"x" * 20_000},
        {"invocation": "x" * 300},
        {"delay": -1.0},
    ],
)
def test_messages_that_are_none(inbox: Data, fields) -> None:
    with pytest.raises(InvalidInputError):
        inbox.send_many("p", "inbox", "f", [NewMessage(body=b"1"), NewMessage(body=b"1", **fields)])
    assert inbox.queue_info("p", "inbox", "f").waiting == 0


@pytest.mark.parametrize("reason", ["x" * 3000, "\u20ac" * 1000, "a\0b", "a\udfffb", ""])
def test_no_reason_keeps_a_message_from_its_end(inbox: Data, reason: str) -> None:
    send(inbox)
    assert settle(inbox, Fate.DEAD, reason=reason, error_id=reason) == 1
    [letter] = inbox.dead_letters("p", "inbox", "f")
    assert len(letter.reason.encode()) <= 2048
    assert letter.reason.startswith(reason[:1])


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "1"},
        {"attempt": 0},
        {"fence": 0},
        {"fence": "1"},
        {"fence": 2**63},
        {"again_at": float("inf")},
    ],
)
def test_settlements_that_are_none(inbox: Data, fields) -> None:
    base = {"id": f"{1:016x}", "attempt": 1, "fence": 1, "fate": Fate.DONE}
    with pytest.raises(InvalidInputError):
        inbox.settle("p", "inbox", "f", [Settlement(**(base | fields))])


def test_a_full_disk_refuses_events_and_lets_those_it_kept_be_handled(tmp_path) -> None:
    data = Data(tmp_path / "data", options=DataOptions(max_project_bytes=1 << 20))
    data.subscribe("p", [Subscription(function="f")])
    new = NewMessage(body=b'"%s"' % (b"x" * 5000), key="k")
    kept: list[str] = []
    with pytest.raises(DataFullError):
        for _ in range(1000):
            kept += data.send_many("p", "inbox", "f", [new, new])
    assert data.queue_info("p", "inbox", "f").waiting == len(kept) > 50
    data.reopen()
    dead = 0
    for number, identity in enumerate(kept):
        [message] = data.lease("p", "inbox", "f", limit=9, lease=60.0)
        assert message.id == identity
        fate = Fate.DEAD if number % 2 else Fate.DONE
        dead += number % 2
        end = Settlement(id=identity, fence=1, attempt=1, fate=fate, reason="r")
        assert data.settle("p", "inbox", "f", [end]) == 1
    info = data.queue_info("p", "inbox", "f")
    assert (info.waiting, info.dead) == (0, dead)
    data.send_many("p", "inbox", "f", [new])
    data.finish()
