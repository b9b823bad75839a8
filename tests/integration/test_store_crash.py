"""kill -9 at any moment loses no acknowledged change and damages nothing."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from casemate.operations.functions import ListFunctions
from casemate.sqlite import engine
from casemate.store import StoreKeyError
from casemate.store.sqlite.schema import migrate
from casemate.store.sqlite.store import SqliteStore

KEY = bytes(range(32))
OTHER_KEY = bytes(range(32, 64))
KILLS = 20
LONGEST = 0.08
"""Seconds between the acknowledged change that is waited for and the kill, at most."""

WRITER = """
import asyncio, os, sys
from pathlib import Path
from casemate.model.deployment import NewVersion
from casemate.model.function import FunctionSpec
from casemate.operations.deployments import KeepVersions
from casemate.store.sqlite.store import SqliteStore

SPEC = FunctionSpec(name="f", handler="a:b", python="3.11")


async def deploy(store, name):
    while True:
        new = NewVersion(project="p", function=name, digest="a" * 64, spec=SPEC)
        (version,) = await store.change(KeepVersions(versions=(new,), by="k"))
        os.write(1, f"version {name} {version.number}\\n".encode())


async def main():
    store = SqliteStore.open(Path(sys.argv[1]), key=bytes(range(32)))
    os.write(1, b"open\\n")
    await asyncio.gather(*(deploy(store, f"f{i}") for i in range(8)))

asyncio.run(main())
"""


def crash(folder: Path, start: int, changes: int, delay: float) -> list[list[str]]:
    """Let a process write to the store, kill it some time after so many acknowledged changes.

    Returns all that it had acknowledged.
    """
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(start)], stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"open\n"
        seen = b"".join(child.stdout.readline() for _ in range(changes))
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        output, _ = child.communicate(timeout=30)
    finally:
        child.kill()
        child.wait()
    # Lines are written whole (PIPE_BUF), so what is there was acknowledged.
    return [entry.split() for entry in (seen + output).decode().splitlines()]


async def check(folder: Path, versions: dict[str, int]) -> float:
    """Open the store, look for all that was acknowledged; return what opening took.

    In seconds of the processor: others may want it as well.
    """
    begin = time.process_time()
    store = SqliteStore.open(folder, key=KEY)
    functions = {f.name: f for f in (await store.read(ListFunctions())).functions}
    elapsed = time.process_time() - begin
    try:
        for name, number in versions.items():
            numbers = [v.number for v in functions[name].versions]
            assert numbers == list(range(1, len(numbers) + 1))
            assert len(numbers) >= number
            (live,) = functions[name].aliases
            assert live.targets[0].version == numbers[-1]
    finally:
        await store.close()
    database = engine.connect(folder / "records.db", KEY)
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    database.close()
    return elapsed


def test_kill_at_random_moments(tmp_path: Path) -> None:
    moments = random.Random(4711)
    versions: dict[str, int] = {}
    slowest = 0.0
    for start in range(KILLS):
        # A slow machine acknowledges nothing within such a moment: every other one waits for some.
        changes = start % 2 * moments.randint(1, 16)
        told = crash(tmp_path / "s", start, changes, moments.uniform(0, LONGEST))
        for kind, name, *number in told:
            assert kind == "version"
            versions[name] = int(number[0])
        slowest = max(slowest, asyncio.run(check(tmp_path / "s", versions)))
    assert len(versions) == 8
    assert slowest < 2.0


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
        asyncio.run(check(folder, {}))


UPKEEP = """
import asyncio, sys
from pathlib import Path
from casemate.store.sqlite.store import SqliteStore

KEYS = [bytes(range(32)), bytes(range(32, 64))]

async def main():
    folder, number = Path(sys.argv[1]), int(sys.argv[2])
    store = SqliteStore.open(folder, key=KEYS[number])
    print("ready", flush=True)
    if sys.argv[3] == "rekey":
        await store.rekey(KEYS[1 - number])
    else:
        await store.snapshot(folder.parent / "copy.db")
    print("done", flush=True)

asyncio.run(main())
"""


def killed_after(seconds: float | None, code: str, *arguments: str) -> bool:
    """Run code until it says `ready`, kill it after `seconds`; tell whether it was done.

    With None it is not killed.
    """
    child = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        if seconds is not None:
            time.sleep(seconds)
            child.send_signal(signal.SIGKILL)
        output, errors = child.communicate(timeout=120)
    finally:
        child.kill()
        child.wait()
    assert errors == b""
    return bool(output)


def filled_database(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    database = engine.connect(folder / "records.db", KEY, create=True)
    migrate(database)
    database.execute("BEGIN")
    database.executemany(
        "INSERT INTO log_line (stored_at, invocation, project, function, version, at, level, text) "
        "VALUES (9e9, 'i', 'p', 'f', 1, 0.0, 'info', ?)",
        [(f"line {n} " + "x" * 100,) for n in range(20_000)],
    )
    database.execute("COMMIT")
    database.close()


async def count_lines(folder: Path, key: bytes) -> int:
    store = SqliteStore.open(folder, key=key)
    await store.close()
    database = engine.connect(folder / "records.db", key)
    try:
        (number,) = database.execute("SELECT count(*) FROM log_line").fetchone()
        return int(number)
    finally:
        database.close()


@pytest.mark.storm
def test_kill_while_the_key_is_changed_leaves_the_one_or_the_other(tmp_path: Path) -> None:
    filled_database(tmp_path / "s")
    asyncio.run(count_lines(tmp_path / "s", KEY))
    moments = random.Random(4714)
    keys, number, changed = (KEY, OTHER_KEY), 0, 0
    for attempt in range(21):
        # The last is let: on a busy machine none of the others may come to its end.
        seconds = moments.uniform(0, 0.12) if attempt < 20 else None
        done = killed_after(seconds, UPKEEP, str(tmp_path / "s"), str(number), "rekey")
        try:
            assert asyncio.run(count_lines(tmp_path / "s", keys[number])) == 20_000
            assert not done
        except StoreKeyError:
            number = 1 - number
            changed += 1
            assert asyncio.run(count_lines(tmp_path / "s", keys[number])) == 20_000
    assert changed > 0


@pytest.mark.storm
def test_kill_during_a_snapshot_leaves_no_half_made_one(tmp_path: Path) -> None:
    filled_database(tmp_path / "s")
    asyncio.run(count_lines(tmp_path / "s", KEY))
    moments = random.Random(4715)
    for _ in range(10):
        (tmp_path / "copy.db").unlink(missing_ok=True)
        killed_after(moments.uniform(0, 0.08), UPKEEP, str(tmp_path / "s"), "0", "snapshot")
        if (tmp_path / "copy.db").exists():
            copy = engine.connect(tmp_path / "copy.db", KEY)
            assert copy.execute("PRAGMA quick_check").fetchall() == [("ok",)]
            copy.close()
        assert asyncio.run(count_lines(tmp_path / "s", KEY)) == 20_000
