"""Events that are leased by the change that keeps them are what they would be after a lease."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from data_support import Clock, Data, end_of, shared
from test_data_together import at_once

from casemate.data import Fate, InvocationState, Message, NewMessage, Subscription
from casemate.data.errors import LimitError
from casemate.model.errors import InvalidInputError
from casemate.operations.leases import KeepLeased

FOR_SQLITE_ALONE = frozenset(
    {
        "test_it_is_what_a_lease_would_have_given",
        "test_nobody_else_gets_it_until_its_lease_is_over",
        "test_a_restart_ends_its_lease",
        "test_what_was_there_before_goes_first",
        "test_nobody_is_told_of_what_there_is_not_to_lease",
        "test_its_end_leaves_nothing_behind",
        "test_who_asks_too_much_is_refused_alone",
    }
)
"""Where other nodes lease as well they take turns, and nothing is leased."""


@pytest.fixture
def inbox(data: Data, clock: Clock) -> Data:
    data.subscribe("p", [Subscription(function="f")])
    return data


def new(number: int, **fields: Any) -> NewMessage:
    given = {"body": b"%d" % number, "invocation": f"i{number}", "caller": "token:a", **fields}
    return NewMessage(**given)


def keep(data: Data, *events: NewMessage, lease: float = 60.0) -> tuple[Message, ...]:
    found: tuple[Message, ...] = data.keep_leased("p", "f", events, lease)
    return found


def lease(data: Data) -> tuple[Message, ...]:
    found: tuple[Message, ...] = data.lease("p", "inbox", "f", limit=200, lease=60.0)
    return found


def counted(data: Data) -> tuple[int, ...]:
    """Return how many callers have events, how many events there are, and their bytes."""
    question = "SELECT (SELECT count(*) FROM kept), number, bytes FROM resource WHERE name = 'f'"

    async def ask() -> Any:
        return await data.opened().read(lambda connection: connection.execute(question).fetchone())

    return tuple(data.run(ask()))


def waiting(data: Data) -> int:
    number: int = data.queue_info("p", "inbox", "f").waiting
    return number


def test_it_is_what_a_lease_would_have_given(inbox: Data, clock: Clock) -> None:
    event = new(1, qualifier="blue", admitted=b"m" * 64, expires_at=clock.time() + 1000)
    (kept,) = keep(inbox, event)
    inbox.settle("p", "inbox", "f", [end_of(kept, Fate.DONE)])
    inbox.send_many("p", "inbox", "f", [event])
    (leased,) = lease(inbox)
    assert kept == msgspec.structs.replace(leased, id=kept.id, sent_at=kept.sent_at)
    assert (kept.attempts, kept.fence) == (1, 1)
    assert kept.sent_at == clock.time() and int(kept.id, 16) < int(leased.id, 16)


def test_nobody_else_gets_it_until_its_lease_is_over(inbox: Data, clock: Clock) -> None:
    (kept,) = keep(inbox, new(1))
    assert lease(inbox) == ()
    assert inbox.invocation_status("p", "i1").state is InvocationState.RUNNING
    clock.pass_(61)
    (again,) = lease(inbox)
    assert (again.id, again.attempts, again.fence) == (kept.id, 2, 2)
    assert inbox.settle("p", "inbox", "f", [end_of(kept, Fate.DONE)]) == 0, "nobody's any more"
    assert waiting(inbox) == 1


def test_a_restart_ends_its_lease(inbox: Data) -> None:
    (kept,) = keep(inbox, new(1))
    inbox.reopen()
    inbox.resume("p")
    assert [one.id for one in lease(inbox)] == [kept.id]


def test_what_was_there_before_goes_first(inbox: Data) -> None:
    inbox.send_many("p", "inbox", "f", [new(1)])
    assert keep(inbox, new(2), new(3)) == ()
    assert [one.body for one in lease(inbox)] == [b"1", b"2", b"3"]
    (kept,) = keep(inbox, new(4))
    assert kept.body == b"4", "what is leased has gone before"


def test_nobody_is_told_of_what_there_is_not_to_lease(inbox: Data) -> None:
    told: list[tuple[str, str, str]] = []

    async def watch() -> None:
        inbox.port.watch(lambda *place: told.append(place))

    inbox.run(watch())
    keep(inbox, new(1))
    assert told == []
    inbox.send_many("p", "inbox", "f", [new(2)])
    keep(inbox, new(3))
    assert set(told) == {("p", "inbox", "f")}


def test_its_end_leaves_nothing_behind(inbox: Data) -> None:
    kept = keep(inbox, *(new(n) for n in range(70)))
    assert waiting(inbox) == 70
    assert inbox.settle("p", "inbox", "f", [end_of(one, Fate.DONE, status=200) for one in kept])
    assert waiting(inbox) == 0
    assert counted(inbox) == (0, 0, 0)


@pytest.mark.parametrize(
    "fields", [{"delay": 1.0}, {"key": "k"}, {"priority": 1}, {"deduplication": "d"}]
)
def test_what_waits_or_overtakes_is_not_leased_so(inbox: Data, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="cannot be leased"):
        keep(inbox, new(1, **fields))
    assert waiting(inbox) == 0


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), 1e9])
def test_a_lease_that_is_none(inbox: Data, seconds: float) -> None:
    with pytest.raises(InvalidInputError):
        keep(inbox, new(1), lease=seconds)


def test_who_asks_too_much_is_refused_alone(inbox: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("casemate.data.messages.MAX_MESSAGES", 2)
    asked = [
        inbox.port.change(KeepLeased(project="p", function="f", messages=given, lease=60.0))
        for given in ((new(1),), (new(2), new(3)), (new(4),))
    ]
    first, second, third = at_once(inbox, *asked)
    assert [one.body for one in first] == [b"1"]
    assert isinstance(second, LimitError)
    assert [one.body for one in third] == [b"4"]


def test_where_other_nodes_lease_they_take_turns(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> None:
    made = shared(request.getfixturevalue("postgresql_server"), tmp_path / "shared")
    try:
        made.subscribe("p", [Subscription(function="f")])
        assert keep(made, new(1)) == ()
        assert [one.body for one in lease(made)] == [b"1"]
    finally:
        made.finish()
