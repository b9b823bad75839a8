"""What PostgreSQL sees of projects' data, and what nodes that share it may do to each other."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from data_support import RESOURCES, Clock, Data, FakeVault, SharedData, end_of, shared

from casemate.data import (
    DataCorruptError,
    DataForeignError,
    DataLockedError,
    Fate,
    InvocationState,
    NewMessage,
    Subscription,
)
from casemate.data.postgresql.clock import ClockError
from casemate.data.postgresql.databases import schema_of
from casemate.data.postgresql.rotation import TABLES
from casemate.data.postgresql.sealing import version_of
from casemate.model.errors import ConflictError, NotFoundError
from casemate.model.grant import QueueSpec, Resources
from casemate.model.integrity import Damaged
from casemate.model.messages import REDRIVEN
from casemate.model.trigger import TopicTrigger
from casemate.postgresql.settings import Settings
from support.data_calls import REDRIVER
from support.database import Server

SECRET = "mauve-giraffe"
RAW = b'{"x":"mauve-giraffe"}'
INBOX = ("p", "inbox", "f")


@pytest.fixture
def one(tmp_path: Path, postgresql_server: Server) -> Iterator[SharedData]:
    data = shared(postgresql_server, tmp_path / "shared")
    data.subscribe("p", [Subscription(function="f", trigger=TopicTrigger(name="t", topic="jobs"))])
    yield data
    data.finish()


@pytest.fixture
def two(one: SharedData) -> Iterator[SharedData]:
    data = SharedData(one.folder, url=one.url, node="two", resources=None)
    yield data
    data.finish()


def sql(data: SharedData, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Do something to the database that is not ours to do."""
    settings = Settings.of_url(data.url)
    (host,) = settings.hosts
    with psycopg.connect(
        host=host.name, port=host.port, user="test", dbname=settings.database, autocommit=True
    ) as connection:
        connection.execute("SET search_path = p_p")
        cursor = connection.execute(statement, values)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


def columns(data: SharedData) -> list[tuple[str, str, str]]:
    found = sql(
        data,
        "SELECT table_name, column_name, data_type FROM information_schema.columns "
        "WHERE table_schema = 'p_p' ORDER BY 1, 2",
    )
    return [(table, column, kind) for table, column, kind in found]


def everything(data: SharedData) -> bytes:
    """Return all that is in the database, as one who reads it finds it."""
    tables = {table for table, _, _ in columns(data)}
    rows = [sql(data, f"SELECT * FROM {table}") for table in tables]
    return repr(rows).encode()


def fill(data: SharedData) -> None:
    """Keep the secret wherever content goes."""
    data.put_item("p", "plain", {"id": "visible", "x": SECRET}, labels=SECRET.encode())
    data.put_object(
        *("p", "files", "visible", SECRET.encode()), metadata={"m": SECRET}, labels=SECRET.encode()
    )
    for name, fate in (("i1", Fate.DEAD), ("i2", Fate.DONE), ("i3", None)):
        new = NewMessage(
            body=RAW,
            key=SECRET,
            deduplication=SECRET + name,
            invocation=name,
            caller=SECRET,
            labels=SECRET.encode(),
            attributes={"a": SECRET},
        )
        data.send_many(*INBOX, [new])
        if fate is not None:
            (found,) = data.lease(*INBOX, limit=9, lease=60.0)
            end = end_of(found, fate, reason=SECRET, result=RAW, content_type="text/" + SECRET)
            assert data.settle(*INBOX, [end]) == 1
    data.begin_invocation("p", "f", SECRET, SECRET, "i4")
    data.advance("p", "tick", SECRET.encode(), None, ())


def read_all(data: SharedData) -> None:
    """Read all that `fill` kept."""
    item = data.get_item("p", "plain", "visible", None)
    assert (item.value["x"], item.labels) == (SECRET, SECRET.encode())
    info, content = data.get_object("p", "files", "visible")
    assert (info.metadata, info.labels, content) == ({"m": SECRET}, *[SECRET.encode()] * 2)
    (letter,) = data.dead_letters(*INBOX)
    assert (letter.reason, letter.size) == (SECRET, len(RAW))
    assert data.dead_letter("p", letter.id)[1] == RAW
    done = data.invocation_status("p", "i2")
    assert (done.state, done.result, done.reason) == (InvocationState.SUCCEEDED, RAW, SECRET)
    assert data.position("p", "tick") == SECRET.encode()
    assert data.resources("p").buckets


def test_what_is_kept_is_not_there_to_be_read(one: SharedData) -> None:
    fill(one)
    read_all(one)
    assert one.begin_invocation("p", "f", SECRET, SECRET, "i5").id == "i4"
    found = everything(one)
    assert b"visible" in found
    assert SECRET.encode() not in found
    one.take_over()
    one.resume("p")
    (message,) = one.lease(*INBOX, limit=9, lease=60.0)
    assert (message.body, message.key, message.labels) == (RAW, SECRET, SECRET.encode())
    assert message.attributes == {"a": SECRET}
    assert one.redrive(*INBOX, None) == 1
    assert one.settle(*INBOX, [end_of(message, Fate.DONE)]) == 1
    (again,) = one.lease(*INBOX, limit=9, lease=60.0)
    kept = {"a": SECRET, REDRIVEN: REDRIVER}
    assert (again.body, again.key, again.attributes) == (RAW, SECRET, kept)


def test_all_columns_of_bytes_are_sealed_or_named(one: SharedData) -> None:
    sealed = {(table.name, one.column) for table in TABLES for one in table.columns}
    plain = {
        *((table, column) for table in ("item", "entry") for column in ("key", "sort")),
        *(("entry", column) for column in ("item_key", "item_sort")),
        ("object", "sealed"),  # with the OBJECTS key
        ("message", "admitted"),  # a MAC
        ("casemate_life", "life"),  # a random number
    }
    found = {(table, column) for table, column, kind in columns(one) if kind == "bytea"}
    assert found == sealed | plain


def test_new_keys_reach_every_row(one: SharedData, two: SharedData) -> None:
    fill(one)
    read_all(two)
    one.vault.newest = 2
    one.rekey("p")
    for table in TABLES:
        for column in table.columns:
            for (kept,) in sql(one, f"SELECT {column.column} FROM {table.name}"):
                assert version_of(kept or b"") in (0, 2)
    assert sql(one, "SELECT DISTINCT key_version FROM object") == [(2,)]
    read_all(one)
    # The other node still has the first key only, and fetches what it needs.
    two.vault.newest = 2
    read_all(two)
    one.reopen()
    read_all(one)


def test_keys_that_another_node_made_are_used_once_they_are_taken(
    one: SharedData, two: SharedData
) -> None:
    fill(one)
    read_all(two)
    two.vault.newest = 2
    two.run(two.port.take_newest_keys())
    two.send("p", "queue", "rest", RAW)
    two.put_object("p", "files", "another", SECRET.encode())
    kept = sql(one, "SELECT body FROM message ORDER BY id DESC LIMIT 1")
    assert version_of(kept[0][0]) == 2
    assert sql(one, "SELECT DISTINCT key_version FROM object ORDER BY 1") == [(1,), (2,)]


SWAPS = (
    "UPDATE message SET body = (SELECT body FROM message ORDER BY id LIMIT 1)",
    "UPDATE message SET labels = ''",
    "UPDATE message SET attributes = ''",
    "UPDATE message SET body = ''",
    "UPDATE message SET body = overlay(body PLACING '\\x00'::bytea FROM length(body))",
    "UPDATE message SET body = substring(body FROM 1 FOR 20)",
)


def test_messages_that_were_changed_are_found(one: SharedData) -> None:
    for statement in SWAPS:
        for number in range(2):
            one.send("p", "queue", "rest", b"%d" % number, labels=b"l", attributes={"a": "b"})
        sql(one, statement)
        with pytest.raises(DataCorruptError, match="not authentic"):
            one.lease("p", "queue", "rest", limit=9, lease=1.0)
        assert one.purge("p", "queue", "rest") == 2


def test_items_that_were_changed_are_found(one: SharedData) -> None:
    for key in ("a", "b"):
        one.put_item("p", "plain", {"id": key}, labels=b"l")
    before = sql(one, "SELECT value FROM item ORDER BY id LIMIT 1")[0][0]
    sql(one, "UPDATE item SET labels = ''")
    for key in ("a", "b"):
        with pytest.raises(DataCorruptError):
            one.get_item("p", "plain", key, None)
    one.delete_item("p", "plain", "c", None)
    one.put_item("p", "sorted", {"id": "a", "at": 1})
    # An older value in the place of a newer one.
    sql(one, "DELETE FROM item WHERE labels = ''")
    one.put_item("p", "plain", {"id": "a"})
    sql(one, "UPDATE item SET value = %s", before)
    with pytest.raises(DataCorruptError):
        one.get_item("p", "plain", "a", None)


def _without_number(line: str) -> str:
    return re.sub(r"^(\w+) \d+ ", r"\1 ", line)


SCRUBBED = (
    (None, ()),
    (SWAPS[0], ("message",)),
    (SWAPS[4], ("message", "message")),
    ("UPDATE item SET labels = ''", ("item of table plain",)),
    ("UPDATE resource SET number = number + 1 WHERE name = 'rest'", ("queue rest counts",)),
)


@pytest.mark.parametrize(("statement", "found"), SCRUBBED)
def test_a_check_reads_all_that_is_kept(
    one: SharedData, statement: str | None, found: tuple[str, ...]
) -> None:
    """Also after a new key, whose values are read by a node that has not fetched it."""
    for number in range(2):
        one.send("p", "queue", "rest", b"%d" % number, labels=b"l", attributes={"a": "b"})
    one.put_item("p", "plain", {"id": SECRET}, labels=b"l")
    one.put_object("p", "kept", "small", b"s")
    one.put_object("p", "kept", "large", b"l" * 200_000)
    if statement is not None:
        sql(one, statement)
    read: list[int] = []
    both = one.run(one.port.scrub("p", read.append))
    told = [each if isinstance(each, str) else each.problem for each in both]
    assert sum(read) > 200_000 or found
    assert len(told) == len(found), told
    assert all(_without_number(line).startswith(f) for line, f in zip(told, found, strict=True))
    assert SECRET not in "".join(told), "keys are content"
    items = [each for each in both if isinstance(each, Damaged)]
    named = [(each.kind, each.name, each.key) for each in items]
    assert named == [("table", "plain", f'"{SECRET}"')] * found.count("item of table plain")


def test_what_projects_keep_is_told_in_bytes(one: SharedData, two: SharedData) -> None:
    before = one.port.sizes()["p"]
    one.put_object("p", "kept", "large", b"l" * 3_000_000)
    two.ensure("q", Resources(queues=(QueueSpec(name="new"),)))
    after = two.port.sizes()
    assert set(after) == {"p", "q"}
    assert 3_000_000 <= after["p"] - before < 4_000_000
    assert 0 < after["q"] < after["p"]


def test_what_one_declares_the_other_has(one: SharedData, two: SharedData) -> None:
    with pytest.raises(NotFoundError):
        two.send("p", "queue", "later", b"1")
    one.ensure("p", Resources(queues=(QueueSpec(name="later"),)))
    two.send("p", "queue", "later", b"1")
    assert two.queue_info("p", "queue", "later").waiting == 1
    one.drop("p", "queue", "later")
    with pytest.raises(NotFoundError):
        two.send("p", "queue", "later", b"1")
    two.ensure("q", Resources(queues=(QueueSpec(name="new"),)))
    assert one.queue_info("q", "queue", "new").waiting == 0
    assert one.port.projects() == ["p", "q"]


def test_each_message_goes_to_one_and_is_settled_once(one: SharedData, two: SharedData) -> None:
    for number in range(40):
        (one, two)[number % 2].send("p", "queue", "rest", b"%d" % number, key=f"k{number % 3}")

    async def lease(data: Data) -> Any:
        return await data.port.lease("p", "queue", "rest", limit=2, lease=60.0)

    order: dict[str, list[int]] = {}
    while True:
        taken = [(data, message) for data in (one, two) for message in data.run(lease(data))]
        if not taken:
            break
        assert len({message.id for _, message in taken}) == len(taken)
        for data, message in taken:
            order.setdefault(message.key, []).append(int(message.body))
            other = two if data is one else one
            end = [end_of(message, Fate.DONE)]
            settled = [
                data.settle("p", "queue", "rest", end),
                other.settle("p", "queue", "rest", end),
            ]
            assert settled == [1, 0]
    assert sorted(n for numbers in order.values() for n in numbers) == list(range(40))
    assert all(numbers == sorted(numbers) for numbers in order.values())


def test_a_start_ends_what_its_own_former_life_held_and_nothing_else(
    one: SharedData, two: SharedData
) -> None:
    for _ in range(2):
        one.send("p", "queue", "rest", b"1")
    (mine,) = one.lease("p", "queue", "rest", limit=1, lease=600.0)
    (other,) = two.lease("p", "queue", "rest", limit=1, lease=600.0)
    one.resume("p")
    assert one.lease("p", "queue", "rest", limit=9, lease=600.0) == ()
    one.take_over()
    one.resume("p")
    (again,) = one.lease("p", "queue", "rest", limit=9, lease=600.0)
    assert (again.id, again.fence) == (mine.id, mine.fence + 1)
    assert one.settle("p", "queue", "rest", [end_of(mine, Fate.DONE)]) == 0
    assert two.settle("p", "queue", "rest", [end_of(other, Fate.DONE)]) == 1


def test_a_former_life_writes_nothing_any_more(one: SharedData) -> None:
    next_life = SharedData(one.folder, url=one.url, node="one", resources=None)
    try:
        next_life.life = 7
        next_life.reopen()
        next_life.send("p", "queue", "rest", b"1")
        with pytest.raises(DataLockedError, match="Another process keeps data as the node one"):
            one.send("p", "queue", "rest", b"2")
        assert next_life.queue_info("p", "queue", "rest").waiting == 1
    finally:
        next_life.finish()


def test_a_claim_holds_while_its_node_is_seen(
    clock: Clock, one: SharedData, two: SharedData
) -> None:
    assert one.begin_invocation("p", "f", "key", "one", "i1") is None
    assert two.begin_invocation("p", "f", "key", "one", "i2").id == "i1"
    with pytest.raises(ConflictError):
        two.begin_invocation("p", "f", "key", "another", "i2")
    clock.pass_(61.0)
    assert two.begin_invocation("p", "f", "key", "one", "i2") is None


def test_another_cluster_is_refused_by_name(one: SharedData, monkeypatch: Any) -> None:
    monkeypatch.setattr("data_support.CLUSTER", "another")
    with pytest.raises(DataForeignError, match="the cluster 'the-cluster'"):
        SharedData(one.folder, url=one.url, node="two", resources=None)


def test_another_key_is_refused_and_nothing_is_written(one: SharedData) -> None:
    before = everything(one)
    with pytest.raises(DataCorruptError, match="not authentic"):
        SharedData(one.folder, FakeVault("another"), url=one.url, node="two")
    assert everything(one) == before


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_a_clock_that_is_off_is_refused(
    one: SharedData, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    class Off(Clock):
        def time(self) -> float:
            return time.time() + seconds

    monkeypatch.setattr("casemate.data.postgresql.clock.time", Off())
    with pytest.raises(ClockError, match="3600 s"):
        one.send("p", "queue", "rest", b"1")
    monkeypatch.undo()
    assert one.queue_info("p", "queue", "rest").waiting == 0


def test_pages_and_leases_bring_bounded_bytes(one: SharedData, monkeypatch: Any) -> None:
    monkeypatch.setattr("casemate.data.postgresql.terms.MAX_RESULT_BYTES", 1000)
    for number in range(6):
        one.send("p", "queue", "rest", b'"%s"' % (b"x" * 400))
        one.put_item("p", "sorted", {"id": "k", "at": number, "x": "y" * 400})
    taken = one.lease("p", "queue", "rest", limit=9, lease=600.0)
    assert 0 < len(taken) < 4
    found, after = [], None
    while True:
        page = one.query_items("p", "sorted", key="k", limit=50, after=after)
        found += [item.value["at"] for item in page.items]
        after = page.after
        if after is None:
            break
    assert found[:2] == [0, 1]


def test_no_two_projects_have_one_schema() -> None:
    names = ["a", "a-b", "a" * 61, "a" * 62, "a" * 63, "q-" + "0" * 38, "b" * 63]
    made = [schema_of(name) for name in names]
    assert len(set(made)) == len(names)
    assert all(len(schema) <= 63 and schema.isascii() for schema in made)


def test_both_nodes_open_a_new_project_at_once(one: SharedData, two: SharedData) -> None:
    async def make(data: Data) -> None:
        await data.port.ensure("fresh", Resources(queues=(QueueSpec(name="a"),)))

    failures: list[BaseException] = []

    def run(data: Data) -> None:
        try:
            data.run(make(data))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(data,)) for data in (one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
    one.send("fresh", "queue", "a", b"1")
    assert two.queue_info("fresh", "queue", "a").waiting == 1


def test_what_is_doubted_of_a_server_is_told_once_and_not_for_each_of_its_projects(
    one: SharedData,
) -> None:
    """The server of the tests forgets what it acknowledged; each open project said so as well."""
    one.put_item("p", "plain", {"id": "1"})
    one.ensure("q", RESOURCES)
    one.put_item("q", "plain", {"id": "1"})
    assert len(one.port._open.opened) == 2
    told = " ".join(one.port.faults())
    assert told.count("fsync is off on the database server") == 1, told
