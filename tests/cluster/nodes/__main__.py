"""Strike whole nodes, their database and their bucket under load, and look what became of it.

    python -m cluster.nodes [--KIND N]... [--minutes N] [--lanes one|two|all] [--nodes N]
        [--in-a-row N] [--pause SECONDS] [--drain SECONDS]

KIND is one of strikes.KINDS: so many of each are done, in a random order, until `--minutes` are
over: one after the other, those at nodes beside all others, or each node in a lane of its own
beside PostgreSQL's primary, its standbys, and etcd; then nodes are killed at any moment, of their
start too, as long as another one runs that was well. The nodes share PostgreSQL under Patroni, as
the guide says, and one bucket; each is a machine of its own. What still waits in the end is waited
for, and said. Exit code 0: nothing that was acknowledged is lost, nothing was settled twice or out
of order, an order explains what registers answered, and who was cut off said so; 1: not; 2: it
cannot be run here.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from scripts.demo_cluster.nodes import CASEMATE

from cluster.__main__ import tools
from cluster.faults import compile_faults
from cluster.machines import Machine
from cluster.nodes.load import Load
from cluster.nodes.machine import NodeMachine, bucket
from cluster.nodes.strikes import (
    DATABASE_KINDS,
    DCS_KINDS,
    FREEZES,
    KILLS,
    KINDS,
    NODE_KINDS,
    STANDBY_KINDS,
    TOLD_KINDS,
    Storm,
)
from cluster.patroni import GUIDE, Cluster

NODES = 3
_START_SECONDS = 240.0
_HERE = Path(__file__).parent


def tell(text: str) -> None:
    """Say a line while it goes on."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def make_database(leader: Machine) -> None:
    """Make the role and the database of the nodes."""
    with psycopg.connect(
        host=leader.address, user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute("CREATE ROLE casemate LOGIN")
        connection.execute("CREATE DATABASE casemate OWNER casemate")


def deploy(node: NodeMachine, folder: Path) -> None:
    """Deploy what is called."""
    project = folder / "app"
    project.mkdir()
    for name in ("app.py", "casemate.toml"):
        shutil.copy(_HERE / name, project)
    done = subprocess.run(
        [CASEMATE, "deploy", "--approve"],
        cwd=project,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "CASEMATE_URL": node.url,
            "CASEMATE_ALLOW_HTTP": "1",
            "CASEMATE_KEY": node.key,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the deploy failed: {(done.stderr or done.stdout)[-800:]}")


class Lane(NamedTuple):
    """What is done one after the other."""

    strikes: list[str]
    own: NodeMachine | None = None
    """The node that is struck; None: any."""


async def struck(storm: Storm, lane: Lane, until: float) -> str:
    """Strike one after the other; return what did not get well."""
    for kind in lane.strikes:
        if time.monotonic() > until:
            break
        began = time.monotonic()
        try:
            await storm.strike(kind, lane.own)
        except (TimeoutError, OSError, subprocess.CalledProcessError) as error:
            return f"{kind}: {error}"
        name = f"{lane.own.name}: {kind}" if lane.own else kind
        tell(
            f"{name} ({storm.done[kind]}): {storm.gaps[kind][-1]:.1f} s without writes, "
            f"{time.monotonic() - began:.1f} s in all"
        )
    return ""


async def run(storm: Storm, load: Load, lanes: list[Lane], until: float) -> dict[str, Any]:
    """Strike under load; return what was found."""
    running = asyncio.create_task(load.run())
    await asyncio.sleep(3)
    began = time.monotonic()
    tell("striking")
    stuck = await asyncio.gather(*(struck(storm, lane, until) for lane in lanes))
    minutes = (time.monotonic() - began) / 60
    await asyncio.sleep(5)
    load.ending = True
    await running
    try:
        await storm.end()
    except TimeoutError as error:
        stuck.append(str(error))
    tell("looking for all that was acknowledged")
    found = await load.found()
    return {
        "minutes": round(minutes, 1),
        "kills": sum(storm.done[kind] for kind in KILLS),
        "node_kills_while_well": storm.killed_well,
        "freezes": sum(storm.done[kind] for kind in FREEZES),
        "strikes": dict(storm.done),
        "stuck": [one for one in stuck if one],
        "untold": storm.untold,
        **found,
        "without_writes_s": {
            kind: {"p50": round(statistics.median(gaps), 1), "max": round(max(gaps), 1)}
            for kind, gaps in storm.gaps.items()
        },
        "tries_again": dict(load.failures),
    }


WRONG = (
    *("stuck", "untold", "kept_lost", "noted_lost", "sent_lost", "unsettled", "settled_twice"),
    *("out_of_order", "ticks_twice", "ticks_left_out_after", "registers_wrong"),
)
"""What has to be empty."""


def storm_of(
    given: argparse.Namespace, folder: Path, stack: contextlib.ExitStack
) -> tuple[Storm, Load]:
    """Start all that is struck."""
    etcd, patroni = tools(given)
    cluster = Cluster(GUIDE, folder, etcd, patroni)
    stack.callback(cluster.end)
    cluster.start()
    leader = cluster.leader()
    if leader is None:
        raise TimeoutError("there is no primary")
    make_database(leader)
    address, objects = stack.enter_context(bucket(cluster.network, folder))
    (store := folder / "store.url").write_text(cluster.url("casemate"))
    store.chmod(0o600)
    library = compile_faults(folder)
    nodes: list[NodeMachine] = []

    def start(node: NodeMachine) -> None:
        node.start_node(f"file:{store}", objects)

    for number in range(given.nodes):
        nodes.append(node := NodeMachine(cluster.network, number, folder, library))
        stack.callback(node.end)
        start(node)
        if number == 0:
            node.wait_until_ready(_START_SECONDS)
    for node in nodes:
        node.wait_until_ready(_START_SECONDS)
        node.key = nodes[0].said_key()
    tell("deploying")
    deploy(nodes[0], folder)
    load = Load(nodes, nodes[0].key, given.pause, given.drain, tell)
    return Storm(cluster, nodes, load, start, address, in_a_row=given.in_a_row), load


def lanes_of(given: argparse.Namespace, nodes: list[NodeMachine]) -> list[Lane]:
    """Return what is done side by side, each in a random order."""
    at_nodes, *at_servers = (
        [kind for kind in kinds for _ in range(getattr(given, kind.replace("-", "_")))]
        for kinds in (NODE_KINDS, DATABASE_KINDS, STANDBY_KINDS, DCS_KINDS)
    )
    for strikes in (at_nodes, *at_servers):
        random.shuffle(strikes)
    if given.lanes == "all":
        own = [Lane(at_nodes[i :: len(nodes)], node) for i, node in enumerate(nodes)]
        return [*own, *map(Lane, at_servers)]
    rest = [kind for strikes in at_servers for kind in strikes]
    random.shuffle(rest)
    if given.lanes == "two":
        return [Lane(at_nodes), Lane(rest)]
    return [Lane(random.sample(both := [*at_nodes, *rest], len(both)))]


def grammar() -> argparse.ArgumentParser:
    """Return what may be said."""
    found = argparse.ArgumentParser(prog="python -m cluster.nodes")
    for kind in KINDS:
        found.add_argument(f"--{kind}", type=int, default=0)
    found.add_argument("--minutes", type=float, default=float("inf"))
    found.add_argument("--lanes", choices=("one", "two", "all"), default="two")
    found.add_argument("--nodes", type=int, default=NODES)
    found.add_argument("--in-a-row", type=int, default=1, help="primaries killed without waiting")
    found.add_argument("--pause", type=float, default=0.3, help="between changes of a writer")
    found.add_argument("--drain", type=float, default=600.0, help="for what waits in the end")
    found.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    found.add_argument("--etcd", help="the program; by default what is on the path")
    found.add_argument("--patroni", type=Path, default=Path(".cluster-tools/bin/patroni"))
    found.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    return found


def main(arguments: list[str]) -> int:
    """Do it; return the exit code."""
    words = grammar()
    given = words.parse_args(arguments)
    if given.lanes == "all" and any(getattr(given, one.replace("-", "_")) for one in TOLD_KINDS):
        words.error(
            f"{', '.join(TOLD_KINDS)}: what a node says of it is judged, so not in all lanes"
        )
    tools(given)
    logging.disable(logging.CRITICAL)  # that no server answers is what this is about
    random.seed(given.seed)
    # Not below a folder of root's: processes of other users have to walk to it.
    folder = Path(tempfile.mkdtemp(prefix="casemate-cluster-"))
    folder.chmod(0o755)
    try:
        with contextlib.ExitStack() as stack:
            storm, load = storm_of(given, folder, stack)
            until = time.monotonic() + given.minutes * 60
            found = asyncio.run(run(storm, load, lanes_of(given, load.nodes), until))
    finally:
        if given.keep:
            tell(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({**found, "seed": given.seed}, indent=2))
    return 1 if any(found[what] for what in WRONG) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
