"""Measure the sums of use: how long a roll-up takes, and what a month's bill does.

    python -m bench.usage [--invocations N] [--functions N] [--folder DIR]

Records are counted as the recorder counts them, in transactions of an encrypted database: first as
many at once as where a node catches up, then as many as wait where it goes on. They are of 700 sums
an hour: fifty functions in four projects with seven callers. The figure for ten million is that of
N times 10 M / N; N = 10000000 measures it whole, with some minutes of making the records. The bill
is that of functions with three callers each that were called in every hour of a month: asked for
in pages, decoded, priced. Times are processor time. Exit codes: 0 measured; 1 a target was missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from casemate.metering import bill, focus_rows, shipped
from casemate.model.usage import DAY, Usage, UsageBy, UsageSpan
from casemate.operations.usage import ReadUsage
from casemate.recorder.records import usage
from casemate.recorder.records.faults import RECORDS
from casemate.recorder.records.schema import migrate
from casemate.sqlite import engine
from casemate.sqlite.transaction import transaction

TARGET_ROLL_UP_SECONDS = 30.0
"""Of ten million invocations."""
TARGET_BILL_SECONDS = 1.0
_MONTH = 20_758 * DAY
"""The first of November 2026."""
_DAYS = 30
_INVOCATIONS = """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
    INSERT INTO invocation (
        stored_at, id, project, function, version, trigger, outcome, status, started_at, queued_ms,
        run_ms, cold, request_bytes, response_bytes, caller, route, cpu_us, memory
    )
    SELECT ? + i * 0.01, printf('inv_%024x', i), 'project-' || (i % 4), 'function-' || (i % 50), 1,
        'http', 'ok', 200, ? + i * 0.01, 0.1, 1.3, 0, 100, 200, 'token:' || (i % 7), '/a/{id}',
        900, 134217728
    FROM n
"""
_SUMS = """
    WITH RECURSIVE f(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM f WHERE i < ?),
        d(j) AS (SELECT 0 UNION ALL SELECT j + 1 FROM d WHERE j < 29),
        c(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM c WHERE k < 2)
    INSERT INTO usage (
        span, start, project, function, trigger, caller, route, requests, run_us, cpu_us,
        memory_mb_ms, response_bytes
    )
    SELECT 86400, ? + j * 86400, 'month-' || (i % 10), 'function-' || i, 'http', 'token:' || k, '',
        1000, 1300000, 900000, 166400, 200000
    FROM f, d, c
"""


_ANEW = ("DELETE FROM usage", "DELETE FROM progress")


def with_records(folder: Path, number: int) -> engine.Connection:
    """Return a database of so many records, none of which is counted."""
    connection = engine.connect(folder / "records.db", bytes(32), create=True)
    migrate(connection)
    with transaction(connection, RECORDS):
        connection.execute(_INVOCATIONS, (number, _MONTH, _MONTH))
    return connection


def counted(connection: engine.Connection, at_once: int) -> float:
    """Return how long counting takes, so many records in a transaction."""
    with transaction(connection, RECORDS):
        for statement in _ANEW:
            connection.execute(statement)
    began = time.process_time()
    while True:
        with transaction(connection, RECORDS):
            if not usage.count(connection, at_once):
                return time.process_time() - began


def _month(connection: engine.Connection) -> tuple[float, int]:
    """Return how long a month's bill takes, and how many lines it has."""
    began, found, at = time.process_time(), [], 0
    asked = ReadUsage(
        by=UsageBy.FUNCTION,
        each=UsageSpan.DAY,
        since=float(_MONTH),
        until=float(_MONTH + _DAYS * DAY),
    )
    while at is not None:
        page: Any = usage.usage(connection, asked, at)
        travelled = msgspec.msgpack.encode(page.rows)
        found += msgspec.msgpack.decode(travelled, type=list[Usage])
        at = page.at
    answered = msgspec.json.decode(msgspec.json.encode(found), type=list[Usage])
    whole = bill(shipped("aws-lambda"), answered)
    lines = sum(1 for _ in focus_rows(whole, "node"))
    return time.process_time() - began, lines


def main(arguments: list[str]) -> int:
    """Measure, print, compare with the targets."""
    parser = argparse.ArgumentParser(prog="python -m bench.usage")
    parser.add_argument("--invocations", type=int, default=1_000_000)
    parser.add_argument("--functions", type=int, default=1000)
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(dir=given.folder) as folder,
        closing(with_records(Path(folder), given.invocations)) as connection,
    ):
        seconds = {each: counted(connection, each) for each in (usage.MOST_AT_ONCE, usage.MANY)}
        with transaction(connection, RECORDS):
            connection.execute(_SUMS, (given.functions, _MONTH))
        month, lines = _month(connection)
    ten = {each: took / given.invocations * 1e7 for each, took in seconds.items()}
    for each, took in seconds.items():
        print(
            f"roll-up of {given.invocations:,} invocations, {each:,} at once: {took:.2f} s, "
            f"of 10 M {ten[each]:.1f} s"
        )
    print(f"bill of {given.functions:,} functions, a month, {lines:,} lines: {month:.2f} s")
    return int(max(ten.values()) > TARGET_ROLL_UP_SECONDS or month > TARGET_BILL_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
