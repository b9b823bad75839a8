"""Strike a cluster while nodes write, and look whether anything acknowledged is lost.

    python -m cluster [--profile guide|watched|sync|stock] [--KIND N]... [--minutes N]
        [--in-a-row N]

KIND is one of strikes.KINDS: so many of each are done, in a random order, until `--minutes` are
over. With `--in-a-row` up to N primaries are killed one after the other, each as soon as it has
acknowledged something, before those killed earlier follow again. With the settings of the guide
nothing may be lost. With others it may be, and then each node that was told of it has to refuse the
server. Exit code 0: so it was; 1: not; 2: it cannot be run here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from cluster.judging import find
from cluster.machines import Machine
from cluster.patroni import PROFILES, Cluster
from cluster.strikes import KINDS, Storm
from cluster.writers import Node
from support.servers import POSTGRES

NODES = 2
SAFE = ("guide", "watched")
"""The profiles with which nothing may be lost."""


class Storming(NamedTuple):
    """How it is struck: when, until when, and how many primaries in a row."""

    moments: random.Random
    until: float
    in_a_row: int


async def run(
    cluster: Cluster, folder: Path, strikes: list[str], storming: Storming
) -> dict[str, Any]:
    """Do strikes; return what was found."""
    leader = cluster.leader()
    if leader is None:
        raise TimeoutError("there is no primary")
    _make_database(leader)
    url = cluster.url("casemate")
    nodes = [Node(number, url, folder) for number in range(NODES)]
    for node in nodes:
        await node.open()
    storm = Storm(cluster, nodes, storming.moments, in_a_row=storming.in_a_row)
    stop = asyncio.Event()
    running = [asyncio.create_task(node.run(stop)) for node in nodes]
    done, stuck = [], ""
    for kind in strikes:
        began = time.monotonic()
        if began > storming.until or any(node.refused for node in nodes):
            break
        try:
            await storm.strike(kind)
        except TimeoutError as error:
            stuck = f"{kind}: {error}"
            break
        done.append(kind)
        _tell(
            f"{kind}: {storm.gaps[kind][-1]:.1f} s without writes, all well after "
            f"{time.monotonic() - began:.1f} s; timeline {cluster.timeline()}"
        )
    refused = [sorted(node.refused) for node in nodes]
    stop.set()
    await asyncio.gather(*running)
    found = await find(nodes, url, folder)
    for node in nodes:
        await node.close()
    return {
        "profile": cluster.profile.name,
        "strikes": {kind: done.count(kind) for kind in KINDS if kind in done},
        "stuck": stuck,
        "lost": found.lost.total(),
        "lost_by_node": [found.lost[node.number] for node in nodes],
        "wrong": found.wrong,
        "refused": refused,
        "without_writes_s": {
            kind: {"p50": round(statistics.median(gaps), 1), "max": round(max(gaps), 1)}
            for kind, gaps in storm.gaps.items()
        },
        "rebuilt": storm.rebuilt,
        "resets": sum(watchdog.resets for watchdog in cluster.watchdogs),
        "registers": found.registers,
        "unjudged_registers": found.unjudged,
        "messages": found.messages,
        "errors": dict(sum((node.errors for node in nodes), Counter())),
        **{
            what: sum(node.counts[what] for node in nodes)
            for what in ("acknowledged", "failed", "unsure")
        },
    }


def is_right(found: dict[str, Any]) -> bool:
    """Tell whether what was found is what the profile promises."""
    if found["stuck"]:
        return False
    if found["profile"] in SAFE:
        return not found["lost"] and not found["wrong"] and not any(found["refused"])
    if found["lost"]:
        pairs = zip(found["lost_by_node"], found["refused"], strict=True)
        return all(refused for lost, refused in pairs if lost)
    # Of what the one strike loses for certain something has to be lost.
    return not found["wrong"] and "lags" not in found["strikes"]


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _make_database(leader: Machine) -> None:
    import psycopg

    with psycopg.connect(
        host=leader.address, user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute("CREATE ROLE casemate LOGIN")
        connection.execute("CREATE DATABASE casemate OWNER casemate")


def tools(given: argparse.Namespace) -> tuple[Path, Path]:
    """Return etcd and Patroni, or end with what to do."""
    etcd = given.etcd or shutil.which("etcd")
    missing_here = []
    if os.geteuid() != 0:
        missing_here.append("it makes network namespaces, so it has to be run by root")
    if not POSTGRES.is_dir():
        missing_here.append(f"there is no PostgreSQL in {POSTGRES}: apt-get install postgresql")
    if etcd is None:
        missing_here.append("there is no etcd: apt-get install etcd-server, or --etcd FILE")
    if shutil.which("cc") is None:
        missing_here.append("there is no C compiler: apt-get install gcc libc6-dev")
    if not given.patroni.exists():
        missing_here.append(f"there is no {given.patroni}: scripts/cluster-tools makes it")
    if missing_here:
        sys.exit("\n".join(missing_here))
    return Path(etcd).resolve(), given.patroni.absolute()


def main(arguments: list[str]) -> int:
    """Do it; return the exit code."""
    grammar = argparse.ArgumentParser(prog="python -m cluster")
    grammar.add_argument("--profile", choices=PROFILES, default="guide")
    for kind in KINDS:
        grammar.add_argument(f"--{kind}", type=int, default=0)
    grammar.add_argument("--minutes", type=float, default=float("inf"))
    grammar.add_argument("--in-a-row", type=int, default=1)
    grammar.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    grammar.add_argument("--etcd", help="the program; by default what is on the path")
    grammar.add_argument("--patroni", type=Path, default=Path(".cluster-tools/bin/patroni"))
    grammar.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    given = grammar.parse_args(arguments)
    etcd, patroni = tools(given)
    logging.disable(logging.CRITICAL)  # that no server answers is what this is about
    moments = random.Random(given.seed)
    strikes = [kind for kind in KINDS for _ in range(getattr(given, kind.replace("-", "_")))]
    moments.shuffle(strikes)
    until = time.monotonic() + given.minutes * 60
    folder = Path(tempfile.mkdtemp(prefix="casemate-cluster-"))
    folder.chmod(0o755)
    cluster = Cluster(PROFILES[given.profile], folder, etcd, patroni)
    try:
        cluster.start()
        found = asyncio.run(run(cluster, folder, strikes, Storming(moments, until, given.in_a_row)))
    finally:
        cluster.end()
        if given.keep:
            _tell(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({**found, "seed": given.seed}, indent=2))
    return 0 if is_right(found) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
