"""What waits at one moment is done together; each is answered as if it had been done alone."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from data_support import Clock, Data, end_of, shared

from casemate.data import Fate, NewMessage, Subscription, kept, queues, tables
from casemate.data.errors import LimitError, TooLargeError
from casemate.data.postgresql.connection import ProjectConnection
from casemate.model.errors import CasemateError, ConflictError, InvalidInputError, NotFoundError
from casemate.model.grant import QueueSpec, Resources, TableIndex, TableSpec
from casemate.model.messages import Message
from casemate.model.trigger import TableTrigger

RESOURCES = Resources(
    tables=(
        TableSpec(name="told", key="k", indexes=(TableIndex(name="by", key="v"),), max_item=2000),
    ),
    queues=(QueueSpec(name="jobs", max_message=2000),),
)
SUBSCRIPTIONS = [
    Subscription(function="f"),
    Subscription(function="hears", trigger=TableTrigger(name="told", table="told")),
]


def prepared(data: Data) -> Data:
    data.ensure("p", RESOURCES)
    data.subscribe("p", SUBSCRIPTIONS)
    return data


@pytest.fixture(params=["sqlite", "postgresql"])
def both(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Data]:
    if request.param == "sqlite":
        made = Data(tmp_path / "both", resources=None)
    else:
        server = request.getfixturevalue("postgresql_server")
        made = shared(server, tmp_path / "both", resources=None)
    yield prepared(made)
    made.finish()


def at_once(data: Data, *work: Coroutine[Any, Any, Any]) -> list[Any]:
    """Have all of it wait for the writer at the same moment; return the answers."""

    async def ask() -> list[Any]:
        free = threading.Event()
        held = data.opened().change(lambda _: free.wait(20))
        asked = [asyncio.ensure_future(one) for one in work]
        await asyncio.sleep(0.02)
        free.set()
        await held
        return await asyncio.gather(*asked, return_exceptions=True)

    found: list[Any] = data.run(ask())
    return found


def told(answer: object) -> object:
    """Return what matters of an answer: the numbers of messages differ."""
    if isinstance(answer, BaseException):
        return type(answer)
    revision = getattr(answer, "revision", None)
    return answer if revision is None else (revision, getattr(answer, "value", None))


def changes(seed: int) -> list[tuple[str, dict[str, Any]]]:
    """Return puts and deletes of few keys; some are refused."""
    chosen = random.Random(seed)
    made: list[tuple[str, dict[str, Any]]] = []
    for number in range(40):
        key = chosen.choice(["a", "b", 1, 1.0, -0.0, "c"])
        expected = chosen.choice([None, None, 0, 1, 2, 5])
        if chosen.random() < 0.3:
            made.append(("delete_item", {"table": "told", "key": key, "if_revision": expected}))
            continue
        value = {"k": key, "v": chosen.choice(["x", "y"]), "n": number}
        if chosen.random() < 0.1:
            value["n"] = "x" * 3000
        elif chosen.random() < 0.05:
            del value["k"]
        made.append(("put_item", {"table": "told", "value": value, "if_revision": expected}))
    return made


@pytest.mark.parametrize("seed", range(3))
def test_items_changed_together_are_as_if_one_after_the_other(
    both: Data, tmp_path: Path, seed: int
) -> None:
    one_by_one = prepared(Data(tmp_path / "alone", resources=None))
    try:
        wanted = changes(seed)
        expected = [
            one_by_one.run(asyncio.wait_for(_caught(one_by_one, *change), 20)) for change in wanted
        ]
        found = at_once(both, *(_call(both, *change) for change in wanted))
        assert [told(answer) for answer in found] == [told(answer) for answer in expected]
        assert {ConflictError, TooLargeError} <= {type(answer) for answer in found}
        states = []
        for data in (one_by_one, both):
            items = data.query_items("p", "told", index="by", key="x").items
            events = data.lease("p", "inbox", "hears", limit=100, lease=60.0)
            waiting = data.queue_info("p", "inbox", "hears").waiting
            states.append(
                ([(i.revision, i.value) for i in items], [e.key for e in events], waiting)
            )
        assert states[0] == states[1]
        # The newest revision of each key is never used again.
        again = [both.put_item("p", "told", {"k": key, "v": "z"}).revision for key in ("a", "b", 1)]
        alone = [
            one_by_one.put_item("p", "told", {"k": key, "v": "z"}).revision for key in ("a", "b", 1)
        ]
        assert again == alone
    finally:
        one_by_one.finish()


async def _call(data: Data, name: str, fields: dict[str, Any]) -> Any:
    return await getattr(data.port, name)("p", **fields)


async def _caught(data: Data, name: str, fields: dict[str, Any]) -> Any:
    try:
        return await _call(data, name, fields)
    except CasemateError as error:
        return error


def keep(data: Data, *new: NewMessage, kind: str = "inbox", name: str = "f") -> Any:
    return data.port.send_many("p", kind, name, new)


def bodies(found: tuple[Message, ...]) -> list[bytes]:
    return [message.body for message in found]


def lease(data: Data, limit: int = 100) -> tuple[Message, ...]:
    found: tuple[Message, ...] = data.lease("p", "inbox", "f", limit=limit, lease=60.0)
    return found


def test_messages_kept_together_are_in_order_and_one_that_is_too_large_is_refused(
    both: Data,
) -> None:
    def jobs(*new: NewMessage) -> Any:
        return keep(both, *new, kind="queue", name="jobs")

    sends = [jobs(NewMessage(body=b"%d" % n), NewMessage(body=b"%d" % -n)) for n in range(1, 30)]
    large = jobs(NewMessage(body=b"1"), NewMessage(body=b'"' + b"x" * 3000 + b'"'))
    answers = at_once(both, *sends[:9], large, *sends[9:])
    assert isinstance(answers.pop(9), LimitError)
    found = both.lease("p", "queue", "jobs", limit=100, lease=60.0)
    assert bodies(found) == [b"%d" % m for n in range(1, 30) for m in (n, -n)]
    assert [message.id for message in found] == [one for ids in answers for one in ids]
    assert both.queue_info("p", "queue", "jobs").waiting == 58


def test_a_token_is_kept_once_and_a_key_is_handed_out_in_order(both: Data) -> None:
    sends = [keep(both, NewMessage(body=b"%d" % n, deduplication=f"t{n % 3}")) for n in range(9)]
    answers = at_once(both, *sends)
    assert [answers[n] for n in range(9)] == [answers[n % 3] for n in range(9)]
    assert len(set(answers)) == 3
    assert at_once(both, keep(both, NewMessage(body=b"9", deduplication="t1"))) == [answers[1]]
    assert bodies(lease(both)) == [b"0", b"1", b"2"]
    at_once(both, *(keep(both, NewMessage(body=b"%d" % n, key=f"k{n % 2}")) for n in range(6)))
    for expected in ([b"0", b"1"], [b"2", b"3"], [b"4", b"5"], []):
        found = lease(both)
        assert bodies(found) == expected
        ends = (both.port.settle("p", "inbox", "f", [end_of(one, Fate.DONE)]) for one in found)
        assert at_once(both, *ends) == [1] * len(expected)


def test_who_is_over_his_share_is_refused_and_the_others_are_not(
    both: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MAX_CALLER_EVENTS", 5)
    sends = [
        keep(both, NewMessage(body=b"1", caller="greedy" if n % 2 else f"c{n}")) for n in range(20)
    ]
    answers = at_once(both, *sends)
    refused = [n for n, answer in enumerate(answers) if isinstance(answer, LimitError)]
    assert refused == [11, 13, 15, 17, 19]
    assert both.queue_info("p", "inbox", "f").waiting == 15


@pytest.mark.parametrize("bound", ["MAX_QUEUE_BYTES", "MAX_PROJECT_BYTES", "MAX_CALLER_BYTES"])
def test_room_is_counted_as_what_is_kept(
    both: Data, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    both.run(keep(both, NewMessage(body=b"1" * 50, caller="c", attributes={"a": "b"})))
    ask = "SELECT bytes FROM resource WHERE bytes > 0"
    size = both.run(_asked(both, ask))
    monkeypatch.setattr(kept, bound, size * 5)
    monkeypatch.setattr(kept, "MAX_CALLER_EVENTS", 1000)
    sends = [
        keep(both, NewMessage(body=b"1" * 50, caller="c", attributes={"a": "b"})) for _ in range(9)
    ]
    answers = at_once(both, *sends)
    assert [isinstance(answer, LimitError) for answer in answers] == [n >= 4 for n in range(9)]
    assert both.run(_asked(both, ask)) == size * 5


async def _asked(data: Data, statement: str) -> int:
    answer = await data.opened().read(lambda c: c.execute(statement).fetchone()[0])
    return int(answer)


def test_leases_asked_for_together_share_what_there_is(both: Data) -> None:
    both.run(keep(both, *(NewMessage(body=b"%d" % n) for n in range(10))))
    asked = [(3, 60.0), (4, 30.0), (1, 60.0), (5, 10.0), (2, 5.0)]
    found = at_once(
        both,
        *(
            both.port.lease("p", "inbox", "f", limit=limit, lease=seconds)
            for limit, seconds in asked
        ),
    )
    assert [len(one) for one in found] == [3, 4, 1, 2, 0]
    assert [body for one in found for body in bodies(one)] == [b"%d" % n for n in range(10)]


def test_each_gets_as_many_bytes_as_alone(both: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    from casemate.data import leasing
    from casemate.data.postgresql import terms

    for module in (leasing, terms):
        monkeypatch.setattr(module, "MAX_RESULT_BYTES", 1000)
    body = b'"' + b"x" * 400 + b'"'
    both.run(keep(both, *[NewMessage(body=body)] * 5, NewMessage(body=b'"' + b"x" * 1500 + b'"')))
    asked = [both.port.lease("p", "inbox", "f", limit=3, lease=60.0) for _ in range(5)]
    found = at_once(both, *asked)
    assert sum(map(len, found)) == 6
    assert all(one for one in found[:3])  # nobody gets nothing while there is more


def test_a_message_is_settled_once_however_many_ask(both: Data) -> None:
    both.run(keep(both, *(NewMessage(body=b"%d" % n) for n in range(3))))
    first, second, third = (end_of(one, Fate.DONE) for one in lease(both))
    answers = at_once(
        both,
        both.port.settle("p", "inbox", "f", [first, second]),
        both.port.settle("p", "inbox", "f", [second, second]),
        both.port.settle("p", "inbox", "f", [second, third, first]),
    )
    assert answers == [2, 0, 1]
    assert both.queue_info("p", "inbox", "f").waiting == 0


def test_an_end_whose_message_cannot_be_sent_is_not_made_and_others_are(both: Data) -> None:
    both.run(keep(both, *(NewMessage(body=b"%d" % n) for n in range(8))))
    found = lease(both)
    gone = (("queue", "nowhere", NewMessage(body=b"1")),)
    sends = [gone if n == 3 else () for n in range(8)]
    ends = [[end_of(one, Fate.DONE, sends=each)] for one, each in zip(found, sends, strict=True)]
    answers = at_once(both, *(both.port.settle("p", "inbox", "f", end) for end in ends))
    assert isinstance(answers.pop(3), NotFoundError)
    assert answers == [1] * 7
    assert both.queue_info("p", "inbox", "f").waiting == 1


def test_what_is_too_much_to_read_at_once_is_read_in_parts(
    both: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    from casemate.data.postgresql import terms

    for n in range(8):
        both.put_item("p", "told", {"k": n, "v": "x", "n": "x" * 900})
    for module in (tables, terms):
        monkeypatch.setattr(module, "MAX_RESULT_BYTES", 2000)
    again = [both.port.put_item("p", "told", {"k": n, "v": "y"}) for n in range(8)]
    assert all(answer.revision > 1 for answer in at_once(both, *again))


def test_many_that_wait_cost_few_exchanges_with_the_server(
    postgresql_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = prepared(shared(postgresql_server, tmp_path / "few", resources=None))
    exchanges: list[str] = []
    for name in ("_plainly", "_exchange"):
        original = getattr(ProjectConnection, name)

        def counted(self: Any, *given: Any, original: Any = original, name: str = name) -> Any:
            exchanges.append(name)
            return original(self, *given)

        monkeypatch.setattr(ProjectConnection, name, counted)
    try:
        at_once(data, keep(data, NewMessage(body=b"1")))
        for work in (
            [keep(data, NewMessage(body=b"1", caller=f"c{n}")) for n in range(64)],
            [data.port.put_item("p", "told", {"k": n, "v": "x"}) for n in range(64)],
        ):
            exchanges.clear()
            assert not [a for a in at_once(data, *work) if isinstance(a, BaseException)]
            assert len(exchanges) <= 10
        # Nor does it cost more to say no, however many are refused.
        monkeypatch.setattr(kept, "MAX_CALLER_EVENTS", 1)
        exchanges.clear()
        mixed = [keep(data, NewMessage(body=b"1", caller=f"c{n}")) for n in range(32, 96)]
        answers = at_once(data, *mixed)
        assert sum(isinstance(answer, LimitError) for answer in answers) == 32
        assert len(exchanges) <= 16
    finally:
        data.finish()


def test_of_an_unknown_queue_each_is_told(both: Data) -> None:
    answers = at_once(both, *(keep(both, NewMessage(body=b"1"), name="none") for _ in range(3)))
    assert [type(answer) for answer in answers] == [NotFoundError] * 3
    with pytest.raises(InvalidInputError):
        both.run(keep(both, NewMessage(body=b"{")))
    assert queues.spec_of(both.opened().resource("queue", "jobs")).max_message == 2000
