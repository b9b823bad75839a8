"""Measure how long it takes until another node is told that something can be leased.

    python -m bench.hints --url postgresql://USER@/DATABASE?host=FOLDER [--seconds S] [--nodes N]

The database has to be an empty one. A hint is counted from when the commit is known at the node
that sent to when another node's loop is told: the first of the others, and each of them, which look
one after the other. Then one node ends in order, and it is measured when
another leads. No HTTP and no functions: the data alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from bench.engines import key
from bench.figures import percentile
from casemate.data import NewMessage, Subscription
from casemate.data.coordination import SCHEDULES
from casemate.data.files import folders_below
from casemate.data.postgresql import PostgresqlProjectData
from casemate.data.postgresql.databases import Cluster
from casemate.data.terms import Holder
from casemate.operations.inboxes import Subscribe
from casemate.operations.leases import KeepMessages
from casemate.postgresql.settings import Settings

_PAUSE = 0.02
_PLACE = {"project": "bench", "kind": "inbox", "name": "worker"}


class _Told:
    """When each of several nodes was told last."""

    def __init__(self, nodes: list[PostgresqlProjectData]) -> None:
        self.at: dict[int, float] = {}
        for number, node in enumerate(nodes):
            node.watch(partial(self._note, number))

    def _note(self, number: int, *_: str) -> None:
        self.at.setdefault(number, time.perf_counter())


async def _open(url: str, folder: Path, name: str) -> PostgresqlProjectData:
    cluster = Cluster(Settings.of_url(url), "bench", Holder(name, secrets.token_hex(4)))
    node = await PostgresqlProjectData.open(cluster, folders_below(folder / "objects"), key)
    node.coordination.follow(["bench"])
    node.coordination.heed(str)
    return node


async def _send(node: PostgresqlProjectData) -> float:
    await node.change(KeepMessages(**_PLACE, messages=(NewMessage(body=b"1"),)))
    return time.perf_counter()


async def _hints(nodes: list[PostgresqlProjectData], seconds: float) -> dict[str, float]:
    told, first, taken, lost = _Told(nodes[1:]), list[float](), list[float](), 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        told.at.clear()
        committed = await _send(nodes[0])
        deadline = committed + 1.0
        while len(told.at) < len(nodes) - 1 and time.perf_counter() < deadline:
            await asyncio.sleep(0.0005)
        waited = [max(0.0, at - committed) * 1000 for at in told.at.values()]
        first += [min(waited)] if waited else []
        taken += waited
        lost += len(nodes) - 1 - len(told.at)
        await asyncio.sleep(_PAUSE)
    first.sort()
    taken.sort()
    return {
        "hints": len(taken),
        "later_than_1_s": lost,
        **{f"first_p{q}_ms": round(percentile(first, q / 100), 2) for q in (50, 90, 99)},
        **{f"p{q}_ms": round(percentile(taken, q / 100), 2) for q in (50, 90, 99)},
        "most_ms": round(taken[-1], 2),
    }


async def _takes_over(nodes: list[PostgresqlProjectData]) -> float:
    for node in nodes:
        node.coordination.seek(SCHEDULES, ["bench"])
    while not (led := [n for n in nodes if n.coordination.leads(SCHEDULES, "bench")]):
        await asyncio.sleep(0.01)
    (leader,) = led
    nodes.remove(leader)
    began = time.perf_counter()
    await leader.close()
    while not any(n.coordination.leads(SCHEDULES, "bench") for n in nodes):
        await asyncio.sleep(0.001)
    return round(time.perf_counter() - began, 3)


async def run(url: str, folder: Path, seconds: float, count: int) -> dict[str, object]:
    """Measure with so many nodes."""
    nodes = [await _open(url, folder, f"node-{number}") for number in range(count)]
    try:
        subscriptions = (Subscription(function="worker"),)
        await nodes[0].change(Subscribe(project="bench", subscriptions=subscriptions))
        await asyncio.sleep(3.0)  # all know of all
        found: dict[str, object] = dict(await _hints(nodes, seconds))
        found["leads_after_end_s"] = await _takes_over(nodes)
        return found
    finally:
        for node in nodes:
            await node.close()


def main(arguments: list[str]) -> int:
    """Measure and print as JSON; return the exit code."""
    grammar = argparse.ArgumentParser(prog="python -m bench.hints")
    grammar.add_argument("--url", required=True)
    grammar.add_argument("--nodes", type=int, default=3)
    grammar.add_argument("--seconds", type=float, default=10.0)
    chosen = grammar.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(run(chosen.url, Path(folder), chosen.seconds, chosen.nodes))
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
