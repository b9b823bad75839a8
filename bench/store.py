"""Measure the embedded store: awaited changes per second, time to restart.

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
from casemate.operations.deployments import KeepVersions
from casemate.operations.functions import ListFunctions
from casemate.store.sqlite.store import SqliteStore

AWAITERS = 64
FUNCTIONS = 500
_KEY = bytes(32)


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


async def restart(folder: Path) -> dict[str, float]:
    """Fill a store with a node's usual content and measure how long opening it takes."""
    store = SqliteStore.open(folder, key=_KEY)
    names = [f"function-{number}" for number in range(FUNCTIONS)]
    await asyncio.gather(*(store.change(deployed(n)) for n in names))
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
    store = SqliteStore.open(parent / "changes", key=_KEY)
    results["awaited changes, 1 awaiter"] = await awaited(store, seconds, 1)
    results[f"awaited changes, {AWAITERS} awaiters"] = await awaited(store, seconds, AWAITERS)
    await store.close()
    results[f"open, {FUNCTIONS} functions"] = await restart(parent / "restart")
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
