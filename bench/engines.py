"""Measure the data of a project on SQLite and on PostgreSQL, in turns, in one run.

    python -m bench.engines --url postgresql://USER@/DATABASE?host=FOLDER [--seconds S] [--rounds N]

The database has to be an empty one. No node and no HTTP: the data alone, as the gateway uses it.
Where the two keep their files decides what an fsync costs; `--folder` is where SQLite's go. What
ends in `_us` is processor time of this process, where the node's part and those who send are: the
latter alone are `generator_us`.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bench.figures import percentile
from casemate.data import Fate, NewMessage, Settlement, SqliteProjectData, Subscription
from casemate.data.files import folders_below
from casemate.data.interface import ProjectData
from casemate.data.postgresql import PostgresqlProjectData
from casemate.data.postgresql.databases import Cluster
from casemate.data.terms import Holder
from casemate.model.grant import Resources, TableSpec
from casemate.model.trigger import TableTrigger
from casemate.operations.inboxes import Subscribe
from casemate.operations.items import GetItem, PutItem
from casemate.operations.leases import KeepMessages, LeaseMessages, SettleMessages
from casemate.operations.resources import EnsureResources
from casemate.postgresql.settings import Settings
from casemate.vault.interface import DataKey, Purpose

WRITERS = 64
BATCH = 16
KEYS = 1000
_PLACE = {"project": "bench", "kind": "inbox", "name": "worker"}
_BODY = b'{"data":{"order":4711,"lines":["' + b"x" * 860 + b'"]}}'


async def key(project: str, purpose: Purpose, version: int | None) -> DataKey:
    text = f"{project}/{purpose}".encode()
    return DataKey(version=version or 1, key=hashlib.sha256(text).digest())


def _item(key: str) -> bytes:
    return json.dumps({"k": key, "v": "x" * 860}).encode()


async def _rate(
    seconds: float, writers: int, act: Callable[[int], Awaitable[int]]
) -> tuple[float, float, float]:
    """Let so many act for so long, each after its last.

    Returns how many a second, the p50 in ms, and the processor time of this process for each in µs.
    """
    end = time.perf_counter() + seconds
    times: list[float] = []
    done = 0

    async def work(number: int) -> None:
        nonlocal done
        while (begun := time.perf_counter()) < end:
            number_done = await act(number)
            done += number_done
            times.append(time.perf_counter() - begun)

    begun, spent = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work(number) for number in range(writers)))
    spent = (time.process_time() - spent) / max(1, done) * 1e6
    return done / (time.perf_counter() - begun), percentile(sorted(times), 0.5) * 1000, spent


async def measure(data: ProjectData, seconds: float) -> dict[str, float]:
    """Return what one engine does."""
    await data.change(
        EnsureResources(
            project="bench",
            resources=Resources(
                tables=(TableSpec(name="t", key="k"), TableSpec(name="told", key="k"))
            ),
        )
    )
    told = Subscription(function="told", trigger=TableTrigger(name="told", table="told"))
    await data.change(
        Subscribe(project="bench", subscriptions=(Subscription(function="worker"), told))
    )
    message = (NewMessage(body=_BODY),)

    async def send(_: int) -> int:
        await data.change(KeepMessages(**_PLACE, messages=message))
        return 1

    async def settle(_: int) -> int:
        found = await data.change(LeaseMessages(**_PLACE, limit=BATCH, lease=60.0))
        ends = [
            Settlement(id=one.id, fence=one.fence, attempt=one.attempts, fate=Fate.DONE)
            for one in found
        ]
        return await data.change(SettleMessages(**_PLACE, settlements=tuple(ends)))

    async def put(number: int) -> int:
        where = f"{number}-{secrets.randbelow(KEYS)}"
        await data.change(PutItem(project="bench", table="t", content=_item(where)))
        return 1

    async def put_told(number: int) -> int:
        where = f"{number}-{secrets.randbelow(KEYS)}"
        await data.change(PutItem(project="bench", table="told", content=_item(where)))
        return 1

    async def get(_: int) -> int:
        await data.read(GetItem(project="bench", table="t", key="known"))
        return 1

    async def nothing(_: int) -> int:
        KeepMessages(**_PLACE, messages=message)
        await asyncio.sleep(0)
        return 1

    await data.change(PutItem(project="bench", table="t", content=_item("known")))
    found: dict[str, float] = {}
    # What those who send are themselves, in what is told of the others.
    _, _, found["generator_us"] = await _rate(min(seconds, 0.3), WRITERS, nothing)
    for name, writers, act in (
        ("enqueue", WRITERS, send),
        ("settle", 4, settle),
        ("put", WRITERS, put),
        ("put_event", WRITERS, put_told),
        ("get", 1, get),
    ):
        rate, p50, spent = await _rate(seconds, writers, act)
        found |= {f"{name}_s": rate, f"{name}_p50_ms": p50, f"{name}_us": spent}
    return found


async def run(url: str, folder: Path, seconds: float, rounds: int) -> dict[str, Any]:
    """Measure both in turns; return the medians."""
    cluster = Cluster(Settings.of_url(url), "bench", Holder("bench", secrets.token_hex(4)))
    engines: dict[str, ProjectData] = {
        "sqlite": SqliteProjectData(folder / "data", key),
        "postgresql": await PostgresqlProjectData.open(
            cluster, folders_below(folder / "objects"), key
        ),
    }
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in engines}
    try:
        for _ in range(rounds):
            for name, data in engines.items():
                taken[name].append(await measure(data, seconds))
    finally:
        for data in engines.values():
            await data.close()
    return {
        name: {what: statistics.median(one[what] for one in all_) for what in all_[0]}
        for name, all_ in taken.items()
    }


def main(arguments: list[str]) -> int:
    """Measure and print as JSON; return the exit code."""
    grammar = argparse.ArgumentParser(prog="python -m bench.engines")
    grammar.add_argument("--url", required=True)
    grammar.add_argument("--folder", type=Path)
    grammar.add_argument("--seconds", type=float, default=3.0)
    grammar.add_argument("--rounds", type=int, default=3)
    chosen = grammar.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        found = asyncio.run(run(chosen.url, Path(folder), chosen.seconds, chosen.rounds))
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
