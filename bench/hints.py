"""Measure how long it takes until another node is told that something can be leased.

    python -m bench.hints [--seconds S] [--nodes N] [--rounds R] [--folder DIR] [--url URL]

Makes the servers of `bench.cluster` and takes turns with what a commit waits for; with `--url` it
is measured on another server, in an empty database. A hint is counted from when the commit is known
at the node that sent to when another node's loop is told: the first of the others, and each of
them, which look one after the other. Then one node ends in order, and it is measured when another
leads. No HTTP and no functions: the data alone. Of each figure the median of the rounds. Exit code
1 if a p99 is above what is wanted; `machine_late` is how much later than asked for this process
itself was woken, which is no matter of hints.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from bench.cluster import WAITS, servers
from bench.engines import key
from bench.errors import BenchError
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

WANTED_P99_MS = 50.0
_PAUSE, _NAP = 0.02, 0.0005
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
    late: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        told.at.clear()
        committed = await _send(nodes[0])
        deadline = committed + 1.0
        while len(told.at) < len(nodes) - 1 and time.perf_counter() < deadline:
            slept = time.perf_counter()
            await asyncio.sleep(_NAP)
            late.append((time.perf_counter() - slept - _NAP) * 1000)
        waited = [max(0.0, at - committed) * 1000 for at in told.at.values()]
        first += [min(waited)] if waited else []
        taken += waited
        lost += len(nodes) - 1 - len(told.at)
        await asyncio.sleep(_PAUSE)
    for values in (first, taken, late):
        values.sort()
    return {
        "hints": len(taken),
        "later_than_1_s": lost,
        **{f"first_p{q}_ms": round(percentile(first, q / 100), 2) for q in (50, 90, 99)},
        **{f"p{q}_ms": round(percentile(taken, q / 100), 2) for q in (50, 90, 99)},
        "most_ms": round(taken[-1], 2),
        **{f"machine_late_p{q}_ms": round(percentile(late, q / 100), 2) for q in (50, 99)},
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


async def run(url: str, folder: Path, seconds: float, count: int) -> dict[str, float]:
    """Measure with so many nodes."""
    nodes = [await _open(url, folder, f"node-{number}") for number in range(count)]
    try:
        subscriptions = (Subscription(function="worker"),)
        await nodes[0].change(Subscribe(project="bench", subscriptions=subscriptions))
        await asyncio.sleep(3.0)  # all know of all
        found = await _hints(nodes, seconds)
        found["leads_after_end_s"] = await _takes_over(nodes)
        return found
    finally:
        for node in nodes:
            await node.close()


def alone(folder: Path, seconds: float, nodes: int, rounds: int) -> dict[str, dict[str, float]]:
    """Measure with servers of our own, in turns; return the medians by what a commit waits for."""
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in WAITS}
    with servers(folder) as made:
        for number in range(rounds):
            for name, waits in WAITS.items():
                made.wait_for(waits)
                (objects := folder / f"{number}-{len(taken[name])}-{waits[:3]}").mkdir()
                taken[name].append(asyncio.run(run(made.database(), objects, seconds, nodes)))
    return {
        name: {what: statistics.median(one[what] for one in all_) for what in all_[0]}
        for name, all_ in taken.items()
    }


def main(arguments: list[str]) -> int:
    """Measure and print as JSON; return the exit code."""
    grammar = argparse.ArgumentParser(prog="python -m bench.hints")
    grammar.add_argument("--url")
    grammar.add_argument("--nodes", type=int, default=3)
    grammar.add_argument("--seconds", type=float, default=10.0)
    grammar.add_argument("--rounds", type=int, default=1)
    grammar.add_argument("--folder", type=Path, default=Path("/var/tmp"))
    chosen = grammar.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="cmhi-", dir=chosen.folder) as name:
        folder = Path(name)
        folder.chmod(0o755)  # processes of other users have to walk to it
        try:
            found = (
                {"url": asyncio.run(run(chosen.url, folder, chosen.seconds, chosen.nodes))}
                if chosen.url
                else alone(folder, chosen.seconds, chosen.nodes, chosen.rounds)
            )
        except BenchError as error:
            sys.exit(str(error))
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 1 if any(one["p99_ms"] > WANTED_P99_MS for one in found.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
