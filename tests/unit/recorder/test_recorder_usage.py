"""Sums of use: each record once, whatever is sent again, and whoever asks by what."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records_samples import KEY, SESSION, denial, invocation, invocations
from records_samples import told as told_as

from casemate.model.denial import DenialKind
from casemate.model.estimate import Estimate
from casemate.model.invocation import InvocationRecord, Outcome
from casemate.model.usage import (
    DAY,
    HOUR,
    OTHERS,
    Beside,
    GuardSampled,
    Passed,
    Stored,
    Usage,
    UsageBy,
    UsageSpan,
)
from casemate.operations.usage import ReadUsage
from casemate.recorder.errors import RecorderInputError
from casemate.recorder.protocol import ENDED, LEFT, PASSED, SAMPLED, STORED, Take, Told
from casemate.recorder.records import keeping_cost, shipping, usage
from casemate.recorder.records.database import RecordsDatabase
from casemate.recorder.records.errors import RecordsFullError
from casemate.recorder.records.keeping import keep
from casemate.recorder.records.keeping_cost import KeepingCost, Stopwatch
from casemate.recorder.records.options import RecordsOptions
from casemate.recorder.records.rows import Left
from casemate.recorder.records.schema import MIGRATIONS, migrate
from casemate.sqlite import engine

MONDAY = 1_795_392_000.0
_encode = msgspec.msgpack.Encoder().encode


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[engine.Connection]:
    with closing(engine.connect(tmp_path / "records.db", KEY, create=True)) as opened:
        migrate(opened)
        yield opened


def take(first: int, *records: InvocationRecord, session: bytes = SESSION) -> Take:
    return Take(1, session, first, tuple(Told(LEFT, _encode(Left(record))) for record in records))


def told(connection: engine.Connection, at: float = MONDAY, *batches: Take) -> None:
    keep(connection, batches, at)
    usage.count(connection)


def asked(connection: engine.Connection, **question: object) -> list[Usage]:
    return usage.usage(connection, ReadUsage(**question), None).rows  # type: ignore[arg-type]


def one(connection: engine.Connection, **question: object) -> Usage:
    [found] = asked(connection, **question)
    return found


def used(n: int, **changes: object) -> InvocationRecord:
    return invocation(f"i{n}", **{"cpu_us": 1000, "memory": 128 << 20, **changes})


def test_every_amount_is_summed_up(connection: engine.Connection) -> None:
    records = (
        used(1, run_ms=10.0, uses=2, peak=9, cold=True),
        used(2, run_ms=20.0, outcome=Outcome.TIMEOUT, peak=7, cold=False),
        used(3, run_ms=30.0, attempt=2, cold=False),
        used(4, run_ms=0.0, outcome=Outcome.THROTTLED, cpu_us=0, request_bytes=99),
    )
    told(connection, MONDAY, take(0, *records))
    assert one(connection) == Usage(
        project="demo",
        function="thumbs",
        requests=3,
        refused=1,
        errors=1,
        retries=1,
        cold=1,
        run_us=60_000,
        cpu_us=3000,
        memory_mb_ms=128 * 60,
        request_bytes=30,
        response_bytes=60,
        uses=2,
        peak=9,
        longest_us=30_000,
    )


def test_refusals_that_are_only_counted_are_counted_once(connection: engine.Connection) -> None:
    """A flood has twenty records a second, and one denial that tells how many more there were."""
    load = {"kind": DenialKind.LOAD, "version": 3, "function": "thumbs", "by": "user:ada"}
    told_of = [
        *(denial(count=n, **load) for n in (500, 926)),
        denial(count=7, **{**load, "by": "user:eve"}),
        denial(count=9, **{**load, "version": 0}),  # of what there is not
        denial(count=11, **{**load, "kind": DenialKind.CAPABILITY}),
        denial(count=-(2**60), **load),
    ]
    record = used(1, run_ms=0.0, outcome=Outcome.THROTTLED, cpu_us=0, caller="user:ada")
    batch = Take(1, SESSION, 0, (*take(0, record).facts, *(told_as(each) for each in told_of)))
    told(connection, MONDAY, batch)
    told(connection, MONDAY, batch)
    rows = {each.caller: each for each in asked(connection, by=UsageBy.CALLER)}
    assert {name: each.refused for name, each in rows.items()} == {"user:ada": 1427, "user:eve": 7}
    assert all(each.requests == each.cpu_us == each.request_bytes == 0 for each in rows.values())
    [day] = asked(connection, by=UsageBy.FUNCTION, each=UsageSpan.DAY)
    assert day.refused == 1434
    assert connection.execute("SELECT min(unshipped) FROM usage").fetchone() == (1,)


def test_what_is_sent_again_is_counted_once(connection: engine.Connection) -> None:
    records = [used(n) for n in range(6)]
    told(connection, MONDAY, take(0, *records[:4]))
    told(connection, MONDAY, take(0, *records[:4]), take(2, *records[2:]))
    told(connection, MONDAY, take(4, *records[4:]))
    assert (one(connection).requests, one(connection).cpu_us) == (6, 6000)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10)), max_size=20))
def test_batches_in_any_order_and_overlap(batches: list[tuple[int, int]]) -> None:
    opened: Any = sqlite3.connect(":memory:", isolation_level=None)
    for statements in MIGRATIONS:
        for statement in statements:
            opened.execute(statement)
    known = -1
    for first, count in batches:
        first = min(first, known + 1)  # a client leaves no number out
        told(opened, MONDAY, take(first, *(used(n) for n in range(first, first + count))))
        known = max(known, first + count - 1)
    assert sum(each.requests for each in asked(opened)) == known + 1
    rows = opened.execute("SELECT count(*) FROM invocation").fetchone()[0]
    assert rows == known + 1


def test_a_transaction_that_fails_counts_nothing(connection: engine.Connection) -> None:
    connection.execute("BEGIN")
    told(connection, MONDAY, take(0, used(1)))
    connection.execute("ROLLBACK")
    assert asked(connection) == []
    told(connection, MONDAY, take(0, used(1)))
    assert one(connection).requests == 1


def test_records_of_a_release_before_are_counted_bit_by_bit(
    connection: engine.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(connection, MONDAY, take(0, *(used(n) for n in range(25))))
    connection.execute("DELETE FROM usage")
    connection.execute("DELETE FROM progress")
    monkeypatch.setattr(usage, "MOST_AT_ONCE", 10)
    told(connection, MONDAY, take(25, used(25)))
    assert one(connection).requests == 10
    assert usage.count(connection) == 10
    assert usage.count(connection) == 6
    assert usage.count(connection) == 0
    assert one(connection).requests == 26


def test_what_is_added_to_what_was_told_to_other_nodes_is_told_again(
    connection: engine.Connection,
) -> None:
    def waiting() -> list[tuple[int, ...]]:
        return connection.execute("SELECT span, requests, unshipped FROM usage").fetchall()

    told(connection, MONDAY, take(0, used(0)))
    assert waiting() == [(HOUR, 1, 1), (DAY, 1, 1)]
    connection.execute("UPDATE usage SET unshipped = 0")
    told(connection, MONDAY, take(1, used(1)))
    assert waiting() == [(HOUR, 2, 1), (DAY, 2, 1)]
    told(connection, MONDAY, take(2, used(2)))
    assert waiting() == [(HOUR, 3, 1), (DAY, 3, 1)]


def test_records_are_counted_once_many_wait(
    connection: engine.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "MANY", 5)
    for first, counted in ((0, 0), (2, 0), (4, 6), (6, 6), (8, 6), (10, 12)):
        keep(connection, [take(first, used(first), used(first + 1))], MONDAY)
        assert sum(each.requests for each in asked(connection)) == counted


def test_nobody_sees_that_records_wait_to_be_counted(tmp_path: Path) -> None:
    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        for n in range(3):
            await records.keep([take(n, used(n))])
        [found] = (await records.page(ReadUsage(), None)).rows
        assert found.requests == 3
        await records.keep([take(3, used(3))])
        outgoing = await records.outgoing("one", "n" * 16, told=False, most=100)
        assert outgoing is not None and outgoing.draft is not None
        columns = shipping.USAGE.index("requests")
        sums = outgoing.draft.parts[""]["usage"]
        assert [row[columns] for row in sums] == [4, 4]  # of an hour, and of a day
        await records.keep([take(4, used(4))])
        records.close()
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        [found] = (await records.page(ReadUsage(), None)).rows
        assert found.requests == 5
        records.close()

    asyncio.run(run())


def test_sums_are_there_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        await records.keep([take(0, used(0), used(1))])
        assert (await records.page(ReadUsage(), None)).rows[0].requests == 2
        await records.keep([take(2, used(2))])

        def full(_connection: engine.Connection) -> int:
            raise RecordsFullError

        with monkeypatch.context() as patch:
            patch.setattr(usage, "count", full)
            assert (await records.page(ReadUsage(), None)).rows[0].requests == 2
        assert (await records.page(ReadUsage(), None)).rows[0].requests == 3
        records.close()

    asyncio.run(run())


def test_records_are_counted_before_they_are_forgotten(tmp_path: Path) -> None:
    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY, RecordsOptions(retention=0.0))
        await records.keep([take(0, *(used(n) for n in range(3)))])
        records._duties.unpruned = 1 << 20  # there is much to forget
        await records.keep([take(3, used(3))])
        for _ in range(200):
            if not await invocations(records):
                break
            records._duties.unpruned = 1 << 20  # the last one came while others were forgotten
            await records.release("none")
            await asyncio.sleep(0.02)
        assert await invocations(records) == []
        [found] = (await records.page(ReadUsage(), None)).rows
        assert found.requests == 4
        records.close()

    asyncio.run(run())


def test_what_is_forgotten_stays_counted(connection: engine.Connection) -> None:
    told(connection, MONDAY, take(0, used(1), used(2)))
    connection.execute("DELETE FROM invocation")
    told(connection, MONDAY, take(2, used(3)))
    assert one(connection).requests == 3


def test_by_what_it_is_told_apart(connection: engine.Connection) -> None:
    records = (
        used(1, caller="user:ada", route="/a/{id}", trigger="http"),
        used(2, caller="user:ada", route="", trigger="queue", function="other"),
        used(3, caller="token:1", route="/a/{id}", trigger="http", project="shop"),
    )
    told(connection, MONDAY, take(0, *records))
    by = {
        UsageBy.PROJECT: {("demo",): 2, ("shop",): 1},
        UsageBy.FUNCTION: {("demo", "other"): 1, ("demo", "thumbs"): 1, ("shop", "thumbs"): 1},
        UsageBy.TRIGGER: {("http",): 2, ("queue",): 1},
        UsageBy.CALLER: {("token:1",): 1, ("user:ada",): 2},
        UsageBy.ROUTE: {
            ("demo", "other", ""): 1,
            ("demo", "thumbs", "/a/{id}"): 1,
            ("shop", "thumbs", "/a/{id}"): 1,
        },
    }
    for each, expected in by.items():
        names = usage._COLUMNS[each]
        found = {
            tuple(getattr(row, name) for name in names): row.requests
            for row in asked(connection, by=each)
        }
        assert found == expected
    assert [row.requests for row in asked(connection, project="demo", function="other")] == [1]
    assert asked(connection, project="nobody") == []


def test_hours_and_days(connection: engine.Connection) -> None:
    for hour in (0, 1, 1, 25):
        number = connection.execute("SELECT count(*) FROM invocation").fetchone()[0]
        told(connection, MONDAY + hour * HOUR + 5, take(number, used(number)))
    days = {row.start: row.requests for row in asked(connection, each=UsageSpan.DAY)}
    assert days == {MONDAY: 3, MONDAY + DAY: 1}
    hours = {row.start: row.requests for row in asked(connection, each=UsageSpan.HOUR)}
    assert hours == {MONDAY: 1, MONDAY + HOUR: 2, MONDAY + 25 * HOUR: 1}
    # Not whole days: hours are added up to what is asked for.
    some = asked(connection, since=MONDAY + HOUR, until=MONDAY + 3 * DAY, each=UsageSpan.DAY)
    assert {row.start: row.requests for row in some} == {MONDAY: 2, MONDAY + DAY: 1}
    assert asked(connection, since=MONDAY + 2 * DAY) == []


def test_callers_without_number_are_one_at_last(
    connection: engine.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "MOST_KEYS", 5)
    told(connection, MONDAY, take(0, *(used(n, caller=f"token:{n}") for n in range(40))))
    told(connection, MONDAY, take(40, *(used(n, caller=f"token:{n}") for n in range(40))))
    found = {row.caller: row.requests for row in asked(connection, by=UsageBy.CALLER)}
    assert len(found) == 6 and sum(found.values()) == 80 and found[OTHERS] == 70
    assert one(connection).requests == 80


def test_what_was_called_that_there_is_not_is_nobodys(connection: engine.Connection) -> None:
    told(
        connection,
        MONDAY,
        take(0, *(used(n, version=0, function=f"guess-{n}", run_ms=0.0) for n in range(50))),
    )
    assert asked(connection) == []


@pytest.mark.parametrize(
    "hostile",
    [
        {"cpu_us": -5},
        {"run_ms": -1e9},
        {"memory": -(1 << 40)},
        {"request_bytes": -7},
        {"uses": -1},
        {"run_ms": float("nan")},
        {"run_ms": 1e300},
        {"cpu_us": 2**63},
    ],
)
def test_a_gateway_that_lies_takes_nothing_off(
    connection: engine.Connection, hostile: dict[str, object]
) -> None:
    told(connection, MONDAY, take(0, used(1)))
    before = one(connection)
    told(connection, MONDAY, take(1, used(2, **hostile)))
    told(connection, MONDAY, take(2, used(3)))
    after = one(connection)
    for name in ("run_us", "cpu_us", "memory_mb_ms", "request_bytes", "response_bytes", "uses"):
        assert getattr(after, name) >= getattr(before, name)
    assert after.cpu_us >= 2000


def test_old_sums_are_forgotten(connection: engine.Connection) -> None:
    told(connection, MONDAY, take(0, used(1)))
    usage.prune(connection, MONDAY + 9 * DAY)
    assert asked(connection, each=UsageSpan.HOUR) == []
    assert one(connection).requests == 1
    usage.prune(connection, MONDAY + 401 * DAY)
    assert asked(connection) == []


def test_pages(connection: engine.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "PAGE_ROWS", 3)
    told(connection, MONDAY, take(0, *(used(n, function=f"f{n}") for n in range(8))))
    found: list[Usage] = []
    at: int | None = 0
    while at is not None:
        page = usage.usage(connection, ReadUsage(), at)
        found += page.rows
        at = page.at
    assert [row.function for row in found] == [f"f{n}" for n in range(8)]


def test_after_a_page_that_is_just_full_there_is_no_other(
    connection: engine.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "PAGE_ROWS", 3)
    told(connection, MONDAY, take(0, *(used(n, function=f"f{n}") for n in range(6))))
    assert usage.usage(connection, ReadUsage(), 0).at == 3
    last = usage.usage(connection, ReadUsage(), 3)
    assert ([row.function for row in last.rows], last.at) == (["f3", "f4", "f5"], None)


def test_the_real_database_counts_too(tmp_path: Path) -> None:
    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        await records.keep((take(0, used(1), used(2)),))
        await records.keep((take(0, used(1), used(2)),))
        page = await records.page(ReadUsage(since=time.time() - DAY), None)
        assert [row.requests for row in page.rows] == [2]
        await asyncio.to_thread(records.close)

    asyncio.run(run())


# -- what is used beside invocations ---------------------------------------------------------------


def beside(first: int, *what: Beside, session: bytes = SESSION) -> Take:
    kinds = {Passed: PASSED, Stored: STORED, GuardSampled: SAMPLED}
    return Take(1, session, first, tuple(Told(kinds[type(each)], _encode(each)) for each in what))


def test_bytes_to_and_from_hosts_are_summed_up_once(connection: engine.Connection) -> None:
    batch = beside(0, Passed("demo", "thumbs", 100, 7), Passed("demo", "thumbs", 1, 2))
    told(connection, MONDAY, batch)
    told(connection, MONDAY, batch)  # sent again, since it was not known to have come
    told(connection, MONDAY, take(2, used(1)))
    found = one(connection)
    assert (found.egress_in, found.egress_out, found.requests) == (101, 9, 1)
    callers = {each.caller: each for each in asked(connection, by=UsageBy.CALLER)}
    assert callers["function:demo/thumbs"].egress_out == 9
    assert sum(each.egress_in for each in asked(connection, each=UsageSpan.DAY)) == 101


def test_what_is_kept_is_counted_for_the_time_that_has_passed(
    connection: engine.Connection,
) -> None:
    told(connection, MONDAY, beside(0, Stored("demo", 1000), Stored("other", 5)))
    assert asked(connection) == []  # since when is not known
    told(connection, MONDAY + HOUR / 2, beside(2, Stored("demo", 1000)))
    told(connection, MONDAY + HOUR / 2, beside(2, Stored("demo", 1000)))
    # The node was down for three hours, or killed: another gateway tells of it.
    told(connection, MONDAY + 3.5 * HOUR, beside(0, Stored("demo", 2000), session=b"another."))
    found = {each.project: each.byte_hours for each in asked(connection, by=UsageBy.PROJECT)}
    assert found == {"demo": 500 + 6000}
    assert asked(connection, by=UsageBy.CALLER)[0].caller == "project:demo"


def test_a_clock_that_is_set_counts_nothing_twice(connection: engine.Connection) -> None:
    told(connection, MONDAY, beside(0, Stored("demo", 1000)))
    told(connection, MONDAY - DAY, beside(1, Stored("demo", 1000)))
    assert asked(connection) == []
    told(connection, MONDAY - DAY + HOUR, beside(2, Stored("demo", 1000)))
    assert sum(each.byte_hours for each in asked(connection)) == 1000
    # And one that is set by years does not cost years.
    told(connection, MONDAY + 9 * 365 * DAY, beside(3, Stored("demo", 1000)))
    rows = asked(connection, until=MONDAY + 10 * 365 * DAY)
    assert sum(each.byte_hours for each in rows) == 1000 + 1000 * usage.MOST_HOURS


@pytest.mark.parametrize("amount", [-5, 2**62])
def test_a_gateway_that_was_taken_over_neither_takes_off_nor_breaks_sums(
    connection: engine.Connection, amount: int
) -> None:
    told(connection, MONDAY, beside(0, Passed("demo", "f", 10, 10)))
    for n in range(1, 5):
        told(connection, MONDAY, beside(n, Passed("demo", "f", amount, amount)))
    found = one(connection)
    assert found.egress_in >= 10 and found.egress_out <= 2**61


def test_names_beyond_the_bound_are_not_told_apart(
    connection: engine.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "MOST_PLACES", 10)
    told(connection, MONDAY, beside(0, *(Stored(f"p{n}", 1) for n in range(50))))
    assert connection.execute("SELECT count(*) FROM progress").fetchone()[0] <= 11
    with pytest.raises(RecorderInputError):
        told(connection, MONDAY, beside(50, Stored("p" * 64, 1)))


def sampled(us: int, **changes: str) -> GuardSampled:
    values = {"trigger": "http", "caller": "user:ada", "route": "/a", **changes}
    return GuardSampled("demo", "thumbs", guard_us=us, **values)


def sums(row: Usage) -> tuple[int, int, int]:
    return row.guard_sampled, row.guard_us, row.guard_squares


def test_samples_of_the_guard_are_summed_up_once(connection: engine.Connection) -> None:
    batch = beside(0, sampled(3), sampled(4, caller="user:bob"), sampled(5))
    told(connection, MONDAY, batch)
    told(connection, MONDAY, batch)
    told(connection, MONDAY + HOUR, beside(3, sampled(1)))
    assert sums(one(connection)) == (4, 13, 51)  # of the day
    first = {"until": MONDAY + HOUR}
    by = {row.caller: sums(row) for row in asked(connection, by=UsageBy.CALLER, **first)}
    assert by == {"user:ada": (2, 8, 34), "user:bob": (1, 4, 16)}
    # They are in the rows of the calls that they are of.
    told(connection, MONDAY, take(4, used(1, trigger="http", caller="user:ada", route="/a")))
    [row] = asked(connection, by=UsageBy.ROUTE, **first)
    assert (row.requests, *sums(row)) == (1, 3, 12, 50)


def test_samples_outlive_records_and_hours(connection: engine.Connection) -> None:
    told(connection, MONDAY, beside(0, sampled(3), sampled(4)), take(2, used(1)))
    keeping_cost.count(connection, KeepingCost(10, 500), MONDAY)
    connection.execute("DELETE FROM invocation")
    usage.prune(connection, MONDAY + 9 * DAY)
    assert (
        connection.execute("SELECT count(*) FROM usage WHERE span = ?", (HOUR,)).fetchone()[0] == 0
    )
    found = one(connection)
    assert sums(found) == (2, 7, 25) and found.journal == Estimate(10, 50.0)
    usage.prune(connection, MONDAY + 401 * DAY)
    assert asked(connection) == []
    assert connection.execute("SELECT count(*) FROM keeping_cost").fetchone()[0] == 0


@pytest.mark.parametrize("us", [-(2**60), 2**60])
def test_no_sample_takes_anything_off_or_makes_a_sum_too_large(
    connection: engine.Connection, us: int
) -> None:
    told(connection, MONDAY, beside(0, *(sampled(us) for _ in range(10))))
    assert sums(one(connection)) == ((10, 0, 0) if us < 0 else (10, 10 << 24, 10 << 48))
    connection.execute("UPDATE usage SET guard_us = ?, guard_squares = ?", (2**61, 2**61))
    told(connection, MONDAY, beside(10, sampled(us)))
    assert sums(one(connection)) == (11, 2**61, 2**61)


def test_what_keeping_took_is_of_batches_with_calls() -> None:
    ended = Take(1, SESSION, 0, (Told(ENDED, b""), Told(PASSED, b""), Told(ENDED, b"")))
    always = Stopwatch(one_in=1)
    assert always.begin([beside(0, Passed("demo", "f", 1, 1))]) is None
    begun = always.begin([ended, ended])
    assert begun is not None
    always.end(begun)
    [cost] = always.taken()
    assert not always.taken()
    assert cost.requests == 4 and 0 <= cost.us <= keeping_cost.MAX_US
    assert all(Stopwatch(one_in=1e12).begin([ended]) is None for _ in range(100))


def test_what_keeping_took_is_there_after_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        records = RecordsDatabase.open(tmp_path, KEY)
        await records.keep([take(0, used(1))], [KeepingCost(2, 100), KeepingCost(2, 140)])
        await records.keep([beside(1, sampled(9))])
        records.close()
        records = RecordsDatabase.open(tmp_path, KEY, expected=True)
        try:
            page = await records.page(ReadUsage(), None)
        finally:
            records.close()
        [found] = page.rows
        assert sums(found) == (1, 9, 81)
        assert found.journal is not None
        assert (found.journal.sampled, found.journal.us_per_request) == (4, 60.0)
        assert found.journal.error_us == pytest.approx(127.06)  # 12.706 * s / sqrt(2) / 2

    asyncio.run(scenario())


def test_an_older_database_takes_samples(tmp_path: Path) -> None:
    with closing(engine.connect(tmp_path / "old.db", KEY, create=True)) as old:
        for statements in MIGRATIONS[:5]:
            for statement in statements:
                old.execute(statement)
        old.execute(
            "INSERT INTO usage (span, start, project, function, trigger, caller, route, requests) "
            "VALUES (?, ?, 'demo', 'thumbs', 'http', 'user:ada', '/a', 5)",
            (DAY, MONDAY // DAY * DAY),
        )
        for statement in MIGRATIONS[5]:
            old.execute(statement)
        told(old, MONDAY, beside(0, sampled(3)))
        found = one(old)
        assert (found.requests, *sums(found)) == (5, 1, 3, 9)
