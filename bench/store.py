"""Measure the embedded store: records per second, awaited changes per second, time to restart.

    python -m bench.store [--json] [--seconds S] [--folder DIR]

The folder decides what an fsync costs; give one on the disk that matters.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from casemate.model.deployment import NewVersion
from casemate.model.function import FunctionSpec
from casemate.model.invocation import InvocationRecord, LogLine, Outcome
from casemate.operations.deployments import KeepVersions
from casemate.operations.functions import ListFunctions
from casemate.store.sqlite import SqliteOptions, SqliteStore

AWAITERS = 64
FUNCTIONS = 500
INVOCATIONS = 100_000
BURST = 50
_KEY = bytes(32)


def invocation(number: int) -> InvocationRecord:
    """Return a record as the invoke path makes it."""
    return InvocationRecord(
        id=f"{number:032x}",
        project="bench",
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


def spec(name: str) -> FunctionSpec:
    """Return a minimal function."""
    return FunctionSpec(name=name, handler="app:handler", python="3.11")


def deployed(name: str) -> KeepVersions:
    """Return the deploy of a function."""
    new = NewVersion(project="bench", function=name, digest="a" * 64, spec=spec(name))
    return KeepVersions(versions=(new,), by="k")


async def awaited(store: SqliteStore, seconds: float, awaiters: int) -> dict[str, float]:
    """Deploy from `awaiters` tasks at once, each waiting for its own commits."""
    end = time.perf_counter() + seconds
    delays: list[float] = []

    async def deploy(number: int) -> None:
        name = f"awaited-{number}"
        while (start := time.perf_counter()) < end:
            await store.change(deployed(name))
            delays.append(time.perf_counter() - start)

    start = time.perf_counter()
    await asyncio.gather(*(deploy(number) for number in range(awaiters)))
    elapsed = time.perf_counter() - start
    delays.sort()
    return {
        "per_second": len(delays) / elapsed,
        "p50_ms": delays[len(delays) // 2] * 1e3,
        "p99_ms": delays[len(delays) * 99 // 100] * 1e3,
    }


async def paced(store: SqliteStore, seconds: float, rate: int) -> dict[str, float]:
    """Record at a steady rate, as a loaded node does, and see what it costs the event loop."""
    calls = 0
    spent = 0.0
    stalls: list[float] = []
    cpu = time.process_time()
    start = time.perf_counter()
    while (now := time.perf_counter()) - start < seconds:
        behind = int((now - start) * rate) - calls
        batch = [invocation(calls + i) for i in range(behind)]
        before = time.perf_counter()
        for record in batch:
            store.record(record)
        spent += time.perf_counter() - before
        calls += behind
        asleep = time.perf_counter()
        await asyncio.sleep(0.002)
        stalls.append(time.perf_counter() - asleep - 0.002)
    await store.flush()
    cpu = time.process_time() - cpu
    stalls.sort()
    return {
        "per_second": calls / (time.perf_counter() - start),
        "record_us": spent / calls * 1e6,
        "cpu_us": cpu / calls * 1e6,
        "loop_delay_p99_ms": stalls[len(stalls) * 99 // 100] * 1e3,
        "lost": store.lost_records,
    }


async def flood(store: SqliteStore, count: int, lines: int) -> dict[str, float]:
    """Record `count` invocations with `lines` log lines each as fast as they are written."""
    log = [
        LogLine(
            invocation="0" * 32,
            project="bench",
            function="function-1",
            version=1,
            at=time.time(),
            level="info",
            text="one line of a function's output, of a usual length, with a number: 4711",
        )
    ] * lines
    records = [invocation(number) for number in range(count)]
    start = time.perf_counter()
    for first in range(0, count, BURST):
        for record in records[first : first + BURST]:
            store.record(record, None, log)
        await asyncio.sleep(0)
    await store.flush()
    elapsed = time.perf_counter() - start
    return {"per_second": count / elapsed, "lost": store.lost_records}


async def restart(folder: Path) -> dict[str, float]:
    """Fill a store with a node's usual content and measure how long opening it takes."""
    store = SqliteStore.open(folder, key=_KEY)
    names = [f"function-{number}" for number in range(FUNCTIONS)]
    await asyncio.gather(*(store.change(deployed(n)) for n in names))
    for number in range(INVOCATIONS):
        store.record(invocation(number))
    await store.close()
    times = []
    for mark in ("", "1\n"):  # a process id left behind stands for an unclean end
        (folder / "owner.pid").write_text(mark)
        start = time.perf_counter()
        store = SqliteStore.open(folder, key=_KEY)
        await store.read(ListFunctions())
        times.append((time.perf_counter() - start) * 1e3)
        await store.close()
    return {"clean_ms": times[0], "after_kill_ms": times[1]}


async def measure(parent: Path, seconds: float) -> dict[str, dict[str, float]]:
    """Run every measurement on fresh stores below `parent`."""
    results = {}
    store = SqliteStore.open(parent / "changes", SqliteOptions(), key=_KEY)
    results["awaited changes, 1 awaiter"] = await awaited(store, seconds, 1)
    results[f"awaited changes, {AWAITERS} awaiters"] = await awaited(store, seconds, AWAITERS)
    await store.close()
    store = SqliteStore.open(parent / "records", SqliteOptions(), key=_KEY)
    results["records at 15,000/s"] = await paced(store, seconds, 15_000)
    results["records, flood"] = await flood(store, int(20_000 * seconds), 0)
    results["records with 3 log lines, flood"] = await flood(store, int(8_000 * seconds), 3)
    await store.close()
    results[f"open, {FUNCTIONS} functions, {INVOCATIONS} invocations"] = await restart(
        parent / "restart"
    )
    return results


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each measurement")
    parser.add_argument("--folder", type=Path, help="where to put the stores (default: temporary)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="casemate-bench-", dir=arguments.folder) as parent:
        results = asyncio.run(measure(Path(parent), arguments.seconds))
    if arguments.json:
        json.dump(results, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    for name, values in results.items():
        shown = "  ".join(f"{key} {value:,.1f}" for key, value in values.items())
        sys.stdout.write(f"{name:<45} {shown}\n")


if __name__ == "__main__":
    main()
