"""Records of an older store: all of them, each once, in their order, whenever it is interrupted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from records_samples import (
    KEY,
    Filled,
    denial,
    every,
    failure,
    invocation,
    invocations,
    line,
    lines,
)

from casemate.gateway.older_records import OlderRecords
from casemate.operations.records import ListDenials, ListErrors
from casemate.recorder.errors import RecorderInputError
from casemate.recorder.records.database import RecordsDatabase
from casemate.recorder.records.rows import Left
from casemate.recorder.records.shares import BYTES, TABLES, shares
from casemate.recorder.records.taking_over import Row
from casemate.sqlite import engine
from casemate.store.sqlite.store import SqliteStore, old_records

NUMBER = 1300


class Stopped(Exception):
    """Where a process is killed."""


class Direct:
    """What the gateway asks of the recorder, asked of its database, until it is killed."""

    def __init__(self, records: RecordsDatabase, steps: int = 10**9) -> None:
        self.records = records
        self.steps = steps

    def _step(self) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise Stopped

    async def begin_taking_over(self, highest: dict[str, int]) -> bool:
        self._step()
        return await self.records.begin_taking_over(highest)

    async def take_over(self, table: str, rows: Sequence[Row]) -> None:
        self._step()
        await self.records.take_over(table, rows)
        self._step()  # durable, and nobody has heard of it

    async def end_taking_over(self) -> None:
        self._step()
        await self.records.end_taking_over()
        self._step()


def older_store(folder: Path) -> None:
    """Write a store with records, as the release before has left it."""
    asyncio.run(SqliteStore.open(folder, key=KEY).close())
    connection = engine.connect(folder / "records.db", KEY)
    connection.execute("BEGIN")
    for n in range(1, NUMBER + 1):
        rows: dict[str, tuple[object, ...]] = {
            "invocation": (
                *(n, 9e9, f"old{n}", "p", "f", 1, "http", "ok", 200, 1.0, 0.1, 0.2, 0, 1, 2),
                None,
            ),
            "error": (n, 9e9, f"e{n}", f"old{n}", "p", "f", 1, "timeout", 1.0, "T", "m", "t"),
            "log_line": (n, 9e9, f"old{n}", "p", "f", 1, 1.0, "info", f"older line {n}"),
            "denial": (n, 9e9, 1.0, "load", "a", "b", "c", f"r{n}", "p", "f", 1, "", "", 1),
        }
        for table, row in rows.items():
            columns = old_records.TABLES[table]
            marks = ",".join("?" * len(row))
            connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", row)
    connection.execute("COMMIT")
    connection.close()


async def attempt(folder: Path, steps: int) -> bool:
    """Start a node that is killed after so many steps; tell whether all was handed over."""
    store = SqliteStore.open(folder / "s", key=KEY)
    records = RecordsDatabase.open(folder / "r", KEY)
    older = OlderRecords(store, Direct(records, steps))  # type: ignore[arg-type]
    try:
        older._highest = await store.old_records()
        older._wanted = await older._records.begin_taking_over(older._highest)
        await Filled(records, steps.to_bytes(8, "big")).tell(
            Left(invocation(f"new{steps}"), failure(f"new-e{steps}"), (line(f"new {steps}"),)),
            denial(reason=f"new {steps}"),
        )
        if older._highest:
            await older.move()
    except Stopped:
        return False
    finally:
        records.close()
        await store.close()
    return True


def test_killed_at_each_step_it_goes_on_and_has_all_of_them_once(tmp_path: Path) -> None:
    older_store(tmp_path / "s")

    async def run() -> None:
        steps = 0
        while not await attempt(tmp_path, steps):
            steps += 1
        assert steps > 5
        store = SqliteStore.open(tmp_path / "s", key=KEY)
        assert await store.old_records() == {}
        await store.close()
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        ids = [r.id for r in await invocations(records)]
        new = [f"new{n}" for n in range(1, steps + 1)]
        assert ids == [*reversed(new), *(f"old{n}" for n in range(NUMBER, 0, -1))]
        texts = [one.text for one in await lines(records)]
        assert texts[:NUMBER] == [f"older line {n}" for n in range(1, NUMBER + 1)]
        assert len(texts) == NUMBER + steps
        assert [one.text for one in await lines(records, search="line 1299")] == ["older line 1299"]
        assert len(await every(records, ListErrors(limit=5000))) == NUMBER + steps
        assert len(await every(records, ListDenials(limit=5000))) == NUMBER + steps
        records.close()

    asyncio.run(run())


def test_what_is_taken_over_counts_as_its_owner_s(tmp_path: Path) -> None:
    older_store(tmp_path / "s")
    assert asyncio.run(attempt(tmp_path, 10**6))
    connection = engine.connect(tmp_path / "r" / "records.db", KEY)
    found = []
    for kind in TABLES:
        found += connection.execute(
            f"SELECT project, function, '{kind}', count(*), sum({BYTES[kind]}) FROM {kind} "
            "GROUP BY project, function"
        ).fetchall()
    assert sorted(found) == sorted(share[:5] for share in shares(connection))
    connection.close()


def test_once_it_has_ended_nothing_more_is_taken_over(tmp_path: Path) -> None:
    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        assert await records.begin_taking_over({})
        await records.end_taking_over()
        assert not await records.begin_taking_over({"invocation": 5})
        row = (1, 9e9, "i", "p", "f", 1, 1.0, "info", "forged")
        with pytest.raises(RecorderInputError, match="taken over before"):
            await records.take_over("log_line", [row])
        await Filled(records).record(invocation(), None, [line("first")])
        (kept,) = await lines(records)
        assert (kept.sequence, kept.text) == (1, "first")
        records.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("session", [(1, b"x", 1)]),
        ("log_line; DROP TABLE error", [(1,)]),
        ("log_line", [(1, 9e9, "i", "p", "f", 1, 1.0, "info")]),
        ("log_line", [(2, 9e9, "i", "p", "f", 1, 1.0, "info", "t"), (2,) * 9]),
        ("log_line", [(2**60, 9e9, "i", "p", "f", 1, 1.0, "info", "t")]),
        (
            "invocation",
            [(1, 9e9, "i", "p", "f", 1, "http", "no", 1, 1.0, 1.0, 1.0, 0, 1, 1, None)],
        ),
        ("denial", [(1, 9e9, 1.0, "no", "a", "b", "c", "r", "p", "f", 1, "", "", 1)]),
    ],
)
def test_what_is_no_row_of_an_older_store_is_refused(
    tmp_path: Path, table: str, rows: list[Row]
) -> None:
    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        await records.begin_taking_over({})
        with pytest.raises(RecorderInputError):
            await records.take_over(table, rows)
        assert await lines(records) == []
        with pytest.raises(RecorderInputError):
            await records.begin_taking_over({"log_line": 2**60})
        records.close()

    asyncio.run(run())
