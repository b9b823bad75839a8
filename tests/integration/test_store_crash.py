"""kill -9 at any moment loses no acknowledged change and damages nothing."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from casemate.model.invocation import LogLine
from casemate.store.sqlite import SqliteStore

KILLS = 30
LONGEST = 0.08
"""Seconds between the first acknowledged change and the kill, at most."""

WRITER = """
import asyncio, os, sys
from pathlib import Path
from casemate.model.function import FunctionSpec
from casemate.model.invocation import InvocationRecord, LogLine, Outcome
from casemate.store.sqlite import SqliteStore

SPEC = FunctionSpec(name="f", handler="a:b", python="3.11")


async def deploy(store, name):
    while True:
        version = await store.deploy(
            project="p", function=name, digest="a" * 64, spec=SPEC, created_by="k"
        )
        os.write(1, f"version {name} {version.number}\\n".encode())


async def record(store, start):
    number = 0
    while True:
        for _ in range(100):
            number += 1
            store.record(
                InvocationRecord(
                    id=f"{start}-{number}", project="p", function="f0", version=1,
                    trigger="invoke", outcome=Outcome.OK, status=200, started_at=0.0,
                    queued_ms=0.0, run_ms=0.0, cold=False, request_bytes=0, response_bytes=0,
                ),
                None,
                [LogLine(invocation="i", project="p", function="f0", version=1, at=0.0,
                         level="info", text=f"{start}-{number}")],
            )
        await store.flush()
        os.write(1, f"record {start}-{number}\\n".encode())


async def main():
    store = SqliteStore.open(Path(sys.argv[1]), key=KEY)
    os.write(1, b"open\\n")
    await asyncio.gather(
        *(deploy(store, f"f{i}") for i in range(8)), record(store, sys.argv[2])
    )

asyncio.run(main())
"""


def crash(folder: Path, start: int, delay: float) -> list[list[str]]:
    """Let a process write to the store, kill it, return what it had acknowledged."""
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(start)], stdout=subprocess.PIPE
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
    return [entry.split() for entry in output.decode().splitlines()]


async def lines_newest_first(store: SqliteStore) -> list[LogLine]:
    return list(reversed(await store.logs(limit=2000)))


async def check(folder: Path, versions: dict[str, int], records: list[str]) -> float:
    """Open the store, look for all that was acknowledged, return the seconds opening took."""
    begin = time.perf_counter()
    store = SqliteStore.open(folder, key=KEY)
    functions = {f.name: f for f in await store.functions()}
    elapsed = time.perf_counter() - begin
    try:
        for name, number in versions.items():
            numbers = [v.number for v in functions[name].versions]
            assert numbers == list(range(1, len(numbers) + 1))
            assert len(numbers) >= number
            (live,) = functions[name].aliases
            assert live.targets[0].version == numbers[-1]
        for record in records:
            assert await store.invocation(record) is not None
        # An invocation and its line are written together or not at all.
        kept = await store.invocations(limit=2000)
        assert [r.id for r in kept] == [entry.text for entry in await lines_newest_first(store)]
    finally:
        await store.close()
    database = opened(folder)
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    database.close()
    return elapsed


def test_kill_at_random_moments(tmp_path: Path) -> None:
    moments = random.Random(4711)
    versions: dict[str, int] = {}
    records: list[str] = []
    slowest = 0.0
    for start in range(KILLS):
        for kind, name, *number in crash(tmp_path / "s", start, moments.uniform(0, LONGEST)):
            if kind == "version":
                versions[name] = int(number[0])
            else:
                records.append(name)
        slowest = max(slowest, asyncio.run(check(tmp_path / "s", versions, records[-20:])))
    assert len(versions) == 8
    assert records
    assert slowest < 1.0


def test_kill_during_creation_leaves_a_store_that_opens(tmp_path: Path) -> None:
    moments = random.Random(4712)
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
        asyncio.run(check(folder, {}, []))
