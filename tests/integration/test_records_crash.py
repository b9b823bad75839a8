"""kill -9 at any moment loses no record that was acknowledged, and keeps none twice."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from casemate.operations.records import ListInvocations, ReadLogs
from casemate.recorder.records.database import RecordsDatabase
from casemate.recorder.records.opening import DATABASE
from casemate.sqlite import engine

KEY = bytes(range(32))
KILLS = 20
LONGEST = 0.08

WRITER = """
import asyncio, os, sys
from pathlib import Path

import msgspec

from casemate.model.invocation import InvocationRecord, LogLine, Outcome
from casemate.recorder.protocol import LEFT, Take, Told
from casemate.recorder.records.database import RecordsDatabase
from casemate.recorder.records.rows import Left


def told(number):
    record = InvocationRecord(
        id=f"i{number}", project="p", function="f0", version=1, trigger="invoke",
        outcome=Outcome.OK, status=200, started_at=0.0, queued_ms=0.0, run_ms=0.0, cold=False,
        request_bytes=0, response_bytes=0,
    )
    line = LogLine(invocation="i", project="p", function="f0", version=1, at=0.0, level="info",
                   text=f"i{number}")
    return Told(LEFT, msgspec.msgpack.encode(Left(record, None, (line,))))


async def main():
    records = RecordsDatabase.open(Path(sys.argv[1]), bytes(range(32)))
    number = int(sys.argv[2])
    os.write(1, b"open\\n")
    while True:
        batch = tuple(told(number + n) for n in range(50))
        await records.keep([Take(1, b"gateway.", number, batch)])
        number += 50
        os.write(1, f"{number}\\n".encode())

asyncio.run(main())
"""


def crash(folder: Path, first: int, delay: float) -> int:
    """Tell records from a number on, as a gateway that knows no better; return what was kept."""
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(first)], stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"open\n"
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        output, _ = child.communicate(timeout=30)
    finally:
        child.kill()
        child.wait()
    # Lines are written whole (PIPE_BUF), so what is there was acknowledged.
    return max([first, *map(int, output.split())])


async def check(folder: Path, acknowledged: int) -> None:
    records = RecordsDatabase.open(folder, KEY, expected=True)
    try:
        found: list[str] = []
        lines: list[str] = []
        for operation, rows in ((ListInvocations(limit=100_000), found), (ReadLogs(), lines)):
            at = None
            while True:
                page = await records.page(operation, at)
                rows += [getattr(row, "text", None) or row.id for row in page.rows]
                at = page.at
                if at is None:
                    break
        counted = Counter(found)
        assert not counted or max(counted.values()) == 1, "nothing is kept twice"
        assert {f"i{n}" for n in range(acknowledged)} <= set(found), "nothing is lost"
        # An invocation and its line are written together or not at all.
        assert lines == found[: len(lines)]
    finally:
        records.close()
    database = engine.connect(folder / DATABASE, KEY)
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()


def test_kill_at_random_moments(tmp_path: Path) -> None:
    moments = random.Random(4716)
    acknowledged = 0
    for _ in range(KILLS):
        # What was acknowledged last is sent again: the word of it may not have come.
        first = max(acknowledged - 50, 0)
        acknowledged = max(acknowledged, crash(tmp_path / "r", first, moments.uniform(0, LONGEST)))
        asyncio.run(check(tmp_path / "r", acknowledged))
    assert acknowledged > 500


def test_kill_during_creation_leaves_records_that_open(tmp_path: Path) -> None:
    moments = random.Random(4717)
    for start in range(8):
        folder = tmp_path / str(start)
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), "0"], stdout=subprocess.DEVNULL
        )
        end = time.monotonic() + 30
        while not folder.exists() and time.monotonic() < end:
            time.sleep(0.0002)
        time.sleep(moments.uniform(0, 0.01))
        child.kill()
        child.wait()
        RecordsDatabase.open(folder, KEY).close()
