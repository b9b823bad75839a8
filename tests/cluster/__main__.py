"""Strike a cluster while nodes write, and look whether anything acknowledged is lost.

    python -m cluster [--profile guide|sync|stock] [--engine-kills N] [--kills N] [--freezes N]
        [--cuts N] [--switches N] [--lags N] [--json]

With the settings of the guide nothing may be lost. With others it may be, and then each node that
was told of it has to refuse the server. Exit code 0: so it was; 1: not; 2: it cannot be run here.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cluster.machines import Machine, cut_pair
from cluster.patroni import PROFILES, TTL, Cluster, wait_for
from cluster.writers import Node, gap, missing
from support.servers import POSTGRES

FROZEN = TTL + 12
NODES = 2
STRIKES = ("engine-kills", "kills", "freezes", "cuts", "switches", "lags")


class Storm:
    """Strikes at one cluster, each followed by its recovery."""

    def __init__(self, cluster: Cluster, nodes: list[Node], moments: random.Random) -> None:
        """Strike when `moments` says so."""
        self._cluster, self._nodes, self._moments = cluster, nodes, moments
        self._pairs = itertools.cycle(
            itertools.combinations(sorted(cluster.machines.values(), key=lambda m: m.name), 2)
        )
        self.gaps: dict[str, list[float]] = {}
        self.rebuilt = 0

    async def strike(self, kind: str) -> None:
        """Strike once and wait until all is well; raises TimeoutError if it does not get so."""
        await asyncio.sleep(self._moments.uniform(0.5, 2.0))
        began = time.monotonic()
        acts: dict[str, Callable[[], None]] = {
            "engine-kills": self._kill_engine,
            "kills": self._kill_machine,
            "freezes": self._freeze,
            "cuts": self._cut,
            "switches": self._cluster.switch_over,
            "lags": self._lag,
        }
        await asyncio.to_thread(acts[kind])
        self.rebuilt += await asyncio.to_thread(self._cluster.recover)
        if not any(node.refused for node in self._nodes):
            await self._until_written()
        self.gaps.setdefault(kind, []).append(gap(self._nodes, began, time.monotonic()))

    async def _until_written(self) -> None:
        before = sum(node.counts["acknowledged"] for node in self._nodes)
        deadline = time.monotonic() + 60
        while sum(node.counts["acknowledged"] for node in self._nodes) < before + 5:
            if any(node.refused for node in self._nodes):
                return
            if time.monotonic() > deadline:
                raise TimeoutError("nobody can write any more")
            await asyncio.sleep(0.05)

    def _leader(self) -> Machine:
        wait_for(lambda: self._cluster.leader() is not None, 60, "there is a primary")
        return self._cluster.leader() or self._cluster.databases[0]

    def _kill_engine(self) -> None:
        self._leader().signal(signal.SIGKILL, "postgres")
        time.sleep(1)

    def _kill_machine(self) -> None:
        machine = self._leader()
        machine.kill()
        wait_for(lambda: self._cluster.leader() not in (None, machine), 90, "another leads")
        time.sleep(1)
        self._cluster.start_machine(machine)

    def _freeze(self) -> None:
        """Freeze the primary's machine with the leader of etcd: on it, or on its own machine."""
        machine = self._leader()
        frozen = [machine]
        if machine in self._cluster.dcs:
            self._cluster.move_dcs_leader(machine)
        else:
            frozen += [m for m in [self._cluster.dcs_leader()] if m is not None]
        for one in frozen:
            one.freeze()
        time.sleep(FROZEN)
        for one in self._moments.sample(frozen, len(frozen)):
            one.wake()
        time.sleep(2)

    def _cut(self) -> None:
        one, other = next(self._pairs)
        cut_pair(one, other)
        time.sleep(TTL + 6)
        one.join()
        other.join()

    def _lag(self) -> None:
        """Have the primary lose its standbys for a moment, and its machine die in it."""
        leader = self._leader()
        others = [machine for machine in self._cluster.databases if machine is not leader]
        for machine in others:
            cut_pair(leader, machine)
        time.sleep(2.0)
        leader.kill()
        # Its kernel lives on here: joined at once, it would still send what was on its way.
        wait_for(lambda: self._cluster.leader() not in (None, leader), 90, "another leads")
        for machine in (leader, *others):
            machine.join()
        self._cluster.start_machine(leader)


async def run(cluster: Cluster, folder: Path, counts: dict[str, int], seed: int) -> dict[str, Any]:
    """Do all strikes in a random order; return what was found."""
    leader = cluster.leader()
    if leader is None:
        raise TimeoutError("there is no primary")
    _make_database(leader)
    url = cluster.url("casemate")
    nodes = [Node(number, url, folder) for number in range(NODES)]
    for node in nodes:
        await node.open()
    moments = random.Random(seed)
    strikes = [kind for kind in STRIKES for _ in range(counts[kind])]
    moments.shuffle(strikes)
    storm = Storm(cluster, nodes, moments)
    stop = asyncio.Event()
    running = [asyncio.create_task(node.run(stop)) for node in nodes]
    done = []
    for kind in strikes:
        began = time.monotonic()
        await storm.strike(kind)
        done.append(kind)
        refused = [node.number for node in nodes if node.refused]
        print(
            f"{kind}: {storm.gaps[kind][-1]:.1f} s without writes, all well after "
            f"{time.monotonic() - began:.1f} s; timeline "
            f"{max(m.get('timeline', 0) for m in cluster.members().values())}"
            + (f"; refused by nodes {refused}" if refused else ""),
            file=sys.stderr,
            flush=True,
        )
        if refused:
            break
    stop.set()
    await asyncio.gather(*running)
    lost, unjudged = await missing(nodes, url, folder)
    for node in nodes:
        await node.close()
    return {
        "profile": cluster.profile.name,
        "strikes": {kind: done.count(kind) for kind in STRIKES},
        "lost": lost,
        "unjudged_registers": unjudged,
        "refused": [sorted(node.refused) for node in nodes],
        "longest_gap_s": {kind: round(max(gaps), 1) for kind, gaps in storm.gaps.items()},
        "rebuilt": storm.rebuilt,
        "registers": len({key for node in nodes for key in node.calls}),
        **{
            what: sum(node.counts[what] for node in nodes)
            for what in ("acknowledged", "failed", "unsure")
        },
    }


def _make_database(leader: Machine) -> None:
    import psycopg

    with psycopg.connect(
        host=leader.address, user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute("CREATE ROLE casemate LOGIN")
        connection.execute("CREATE DATABASE casemate OWNER casemate")


def _tools(given: argparse.Namespace) -> tuple[Path, Path]:
    """Return etcd and Patroni, or end with what to do."""
    etcd = given.etcd or shutil.which("etcd")
    missing_here = []
    if os.geteuid() != 0:
        missing_here.append("it makes network namespaces, so it has to be run by root")
    if not POSTGRES.is_dir():
        missing_here.append(f"there is no PostgreSQL in {POSTGRES}: apt-get install postgresql")
    if etcd is None:
        missing_here.append("there is no etcd: apt-get install etcd-server, or --etcd FILE")
    if not given.patroni.exists():
        missing_here.append(f"there is no {given.patroni}: scripts/cluster-tools makes it")
    if missing_here:
        sys.exit("\n".join(missing_here))
    return Path(etcd).resolve(), given.patroni.absolute()


def main(arguments: list[str]) -> int:
    """Do it; return the exit code."""
    grammar = argparse.ArgumentParser(prog="python -m cluster")
    grammar.add_argument("--profile", choices=PROFILES, default="guide")
    for kind in STRIKES:
        grammar.add_argument(f"--{kind}", type=int, default=0)
    grammar.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    grammar.add_argument("--etcd", help="the program; by default what is on the path")
    grammar.add_argument("--patroni", type=Path, default=Path(".cluster-tools/bin/patroni"))
    grammar.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    given = grammar.parse_args(arguments)
    etcd, patroni = _tools(given)
    logging.disable(logging.CRITICAL)  # that no server answers is what this is about
    counts = {kind: getattr(given, kind.replace("-", "_")) for kind in STRIKES}
    folder = Path(tempfile.mkdtemp(prefix="casemate-cluster-"))
    folder.chmod(0o755)
    cluster = Cluster(PROFILES[given.profile], folder, etcd, patroni)
    try:
        cluster.start()
        found = asyncio.run(run(cluster, folder, counts, given.seed))
    finally:
        cluster.end()
        if given.keep:
            print(f"kept: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({**found, "seed": given.seed}, indent=2))
    if given.profile == "guide":
        is_right = found["lost"] == 0 and not any(found["refused"])
    elif found["lost"]:
        is_right = all(found["refused"])
    else:
        is_right = counts["lags"] == 0  # after which something is lost for certain
    return 0 if is_right else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
