"""Measure the records: how many are kept a second, and what a search of a million lines takes.

    python -m bench.records [--lines N] [--records N] [--folder DIR]

Records go the way that they go in the recorder's process: decoded, masked, indexed, written with an
fsync for each group, in an encrypted database. The folder decides what an fsync costs. The memory
is that of this process at its end. Exit codes: 0 measured; 1 a target was missed.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from casemate.model.invocation import InvocationRecord, LogLine, Outcome
from casemate.operations.records import ReadLogs
from casemate.recorder.protocol import LEFT, Take, Told
from casemate.recorder.records.database import RecordsDatabase
from casemate.recorder.records.rows import Left

TARGET_SEARCH_MS = 300.0
BATCH = 256
TOGETHER = 8
_KEY = bytes(32)
_ROUNDS = 5
_WORDS = """
order payment customer invoice shipped received queued retried timeout warehouse address total
price currency refund cart item stock supplier parcel label printed scanned user
"""


def _record(number: int) -> InvocationRecord:
    return InvocationRecord(
        id=f"inv_{number:024x}",
        project=f"project-{number % 4}",
        function=f"function-{number % 50}",
        version=1,
        trigger="invoke",
        outcome=Outcome.OK,
        status=200,
        started_at=time.time(),
        queued_ms=0.1,
        run_ms=1.3,
        cold=False,
        request_bytes=100,
        response_bytes=200,
    )


def _line(record: InvocationRecord, number: int, words: random.Random) -> LogLine:
    said = " ".join(words.choices(_WORDS.split(), k=8))
    return LogLine(
        invocation=record.id,
        project=record.project,
        function=record.function,
        version=1,
        at=float(number),
        level="error" if number % 5000 == 0 else "info",
        text=f"{said} order={number} amount={number % 997}.50",
    )


async def _keep(records: RecordsDatabase, first: int, told: list[Told]) -> None:
    """Keep all of it, as many messages together as the recorder has when it is busy."""
    takes = [
        Take(1, bytes(8), first + start, tuple(told[start : start + BATCH]))
        for start in range(0, len(told), BATCH)
    ]
    for start in range(0, len(takes), TOGETHER):
        await records.keep(takes[start : start + TOGETHER])


async def _flood(records: RecordsDatabase, count: int, first: int) -> float:
    told = [Told(LEFT, msgspec.msgpack.encode(Left(_record(n)))) for n in range(count)]
    began = time.perf_counter()
    await _keep(records, first, told)
    return count / (time.perf_counter() - began)


async def _fill(records: RecordsDatabase, lines: int, first: int) -> float:
    """Write so many lines, four an invocation; return how many were kept a second."""
    words, spent, number = random.Random(4711), 0.0, 0
    while number < lines:
        told = []
        for _ in range(BATCH * 8):
            record = _record(number)
            log = tuple(_line(record, number + n, words) for n in range(4))
            told.append(Told(LEFT, msgspec.msgpack.encode(Left(record, None, log))))
            number += 4
        began = time.perf_counter()
        await _keep(records, first, told)
        spent += time.perf_counter() - began
        first += len(told)
    return number / spent


async def _search(records: RecordsDatabase, **asked: Any) -> tuple[float, int]:
    """Return the milliseconds of the slowest of some searches, and how many lines were found."""
    wanted = ReadLogs(limit=1000, **asked)
    slowest, found = 0.0, 0
    for _ in range(_ROUNDS):
        began, at, found = time.perf_counter(), None, 0
        while True:
            page = await records.page(wanted, at)
            found += len(page.rows)
            at = page.at
            if at is None or found >= wanted.limit:
                break
        slowest = max(slowest, (time.perf_counter() - began) * 1e3)
    return slowest, found


async def _measure(folder: Path, count: int, lines: int) -> bool:
    records = RecordsDatabase.open(folder / "records", _KEY)
    print(f"records kept            {await _flood(records, count, 0):>9.0f} a second")
    print(f"lines kept              {await _fill(records, lines, count):>9.0f} a second")
    met = True
    for name, asked in (
        ("a text that one has", {"search": f"order={lines // 3} "}),
        ("a text that none has", {"search": "nothing of that kind"}),
        ("a text that many have", {"search": "warehouse"}),
        ("the same, of a function", {"search": "warehouse", "function": "function-7"}),
        ("errors", {"level": "error"}),
        ("errors since a time", {"level": "error", "since": lines * 0.9}),
        ("a short text", {"search": "or"}),
    ):
        took, found = await _search(records, **asked)
        good = took <= TARGET_SEARCH_MS
        met = met and good
        verdict = "met" if good else "MISSED"
        print(
            f"{name:<24}{took:>9.1f} ms, {found} found  ({verdict}: at most {TARGET_SEARCH_MS:g})"
        )
    records.close()
    size = sum(file.stat().st_size for file in (folder / "records").iterdir())
    print(f"size on disk            {size / lines:>9.0f} bytes a line, its records with it")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory of this process  {memory:>9.0f} MB at most, the load with it")
    return met


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench.records")
    parser.add_argument("--records", type=int, default=50_000, help="how many without lines")
    parser.add_argument("--lines", type=int, default=1_000_000, help="how many lines")
    parser.add_argument("--folder", type=Path, default=None, help="where, else a temporary folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        met = asyncio.run(_measure(Path(folder), given.records, given.lines))
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
