"""Three nodes on one PostgreSQL and one S3-compatible store; one is killed while it is used.

`make demo-cluster` runs it. As root each node is in a network namespace of its own, else on a port
of its own. Everything is below one folder, which is removed at the end. Exit codes: 0 nothing was
lost, 1 something did not go as it should, 130 interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from scripts.demo_cluster.balancer import Backend, Balancer
from scripts.demo_cluster.errors import DemoError
from scripts.demo_cluster.load import WRITERS, Load
from scripts.demo_cluster.network import Network, network
from scripts.demo_cluster.nodes import CASEMATE, Node, Shared, risks, start, wait_until_ready
from scripts.demo_cluster.places import ROOT, object_store, postgresql, postgresql_programs

NODES = 3
_BEFORE, _AFTER, _HANDLED = 5.0, 20.0, 60.0
"""Seconds of load before and after the death, and how long events may take to be handled."""


def say(text: str = "") -> None:
    """Print one line at once."""
    print(text, flush=True)


@contextlib.contextmanager
def nodes_running(shared: Shared, net: Network) -> Iterator[list[Node]]:
    """Start nodes, the first alone: it makes what the others find."""
    nodes: list[Node] = []
    try:
        for number, place in enumerate(net.places, 1):
            nodes.append(start(f"node-{number}", place, shared))
            if number == 1:
                wait_until_ready(nodes, shared.folder)
        wait_until_ready(nodes, shared.folder)
        yield nodes
    finally:
        for node in nodes:
            if node.process.poll() is None:
                node.process.terminate()
        for node in nodes:
            node.stop()


def deploy(url: str, token: str, folder: Path) -> None:
    """Deploy the ledger through the balancer."""
    project = folder / "ledger"
    shutil.copytree(ROOT / "examples/ledger", project)
    done = subprocess.run(
        [CASEMATE, "deploy", "--approve"],
        cwd=project,
        env={**os.environ, "CASEMATE_URL": url, "CASEMATE_KEY": token},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DemoError(f"the deploy failed: {(done.stderr or done.stdout).strip()[-800:]}")
    for line in done.stdout.strip().splitlines()[-3:]:
        say(f"    {line}")


async def show(nodes: list[Node], token: str, folder: Path) -> None:
    """Load the cluster, kill a node under it, and count."""
    balancer = Balancer([Backend(node.place.host, node.place.port) for node in nodes])
    async with balancer.running():
        url = f"http://127.0.0.1:{balancer.port}"
        say(f"==> A load balancer on {url} in front of them; deploying the example `ledger`")
        await asyncio.to_thread(deploy, url, token, folder)
        await _until_known(nodes, token)
        load = Load(url, token)
        say(f"==> {WRITERS} writers put entries; each change of the table is an event for `audit`")
        async with asyncio.TaskGroup() as writers:
            for number in range(WRITERS):
                writers.create_task(load.write(number))
            await asyncio.sleep(_BEFORE)
            before = len(load.acknowledged)
            victim = nodes[1]
            died = time.monotonic()
            count = victim.kill()
            say(f"    {before} entries acknowledged in {_BEFORE:g} s; now {victim.name} is killed")
            say(f"    SIGKILL to {count} processes of it at once: nothing is handed over")
            await asyncio.sleep(_AFTER)
            load.ending = True
        await _tell(load, died, balancer)


async def _until_known(nodes: list[Node], token: str) -> None:
    """Wait until every node knows what was deployed, and has called it once."""
    end = time.monotonic() + 30
    for node in nodes:
        load = Load(node.url, token)
        async with load.client() as client:
            body = {"account": "warm", "cents": 1, "day": "2026-11-24"}
            while (answer := await client.put("/entries/warm", json=body)).status_code != 200:
                if time.monotonic() > end:
                    raise DemoError(
                        f"{node.name} answers {answer.status_code}: {answer.text[:200]}"
                    )
                await asyncio.sleep(0.2)


async def _tell(load: Load, died: float, balancer: Balancer) -> None:
    times = sorted(load.acknowledged.values())
    gap = max(b - a for a, b in itertools.pairwise(times) if b > died)
    say(f"    {len(times)} entries acknowledged in all; longest pause of all writers {gap:.2f} s")
    say(
        f"    an entry took {statistics.median(load.waits) * 1000:.0f} ms (median), at most "
        f"{max(load.waits):.2f} s, tries again included"
    )
    tries = ", ".join(f"{count} {what}" for what, count in sorted(load.failures.items()))
    say(f"    tries that came to nothing and were made again: {tries or 'none'}")
    shares = ", ".join(str(one.served) for one in balancer.backends)
    say(f"    connections by node: {shares}")
    say("==> Looking for each of them")
    missing = await load.missing_entries()
    if missing:
        raise DemoError(f"{len(missing)} acknowledged entries are gone: {sorted(missing)[:5]}")
    say(f"    in the table: all {len(times)}; lost: 0")
    handled_at = await _until_handled(load)
    trails = await load.trails()
    again = sum(count > 1 for name, count in trails.items() if name in load.acknowledged)
    say(f"    events handled: all {len(times)}; the last of them {handled_at - died:.1f} s after")
    say("    the death, those that the dead node had leased included")
    say(f"    entries with more than one change, by a try that was made again: {again}")


async def _until_handled(load: Load) -> float:
    end = time.monotonic() + _HANDLED
    while missing := set(load.acknowledged) - set(await load.trails()):
        if time.monotonic() > end:
            raise DemoError(f"{len(missing)} events were not handled in {_HANDLED:g} s")
        await asyncio.sleep(0.5)
    return time.monotonic()


def demonstrate(folder: Path) -> None:
    """Run all of it below a folder."""
    with (
        network(NODES) as net,
        postgresql(folder) as store,
        object_store(folder, net.shared) as objects,
    ):
        where = "a network namespace each" if net.places[0].prefix else "a port each"
        say(f"==> {NODES} nodes, {where}; one PostgreSQL, one S3-compatible store")
        named = [word for word in risks(net.places[0]) if word != "--accept-risk"]
        say(f"    accepted for the demo alone: {', '.join(named)}")
        with nodes_running(Shared(folder, store, objects), net) as nodes:
            asyncio.run(show(nodes, nodes[0].started["key"], folder))


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    """Run the demo and return its exit code."""
    grammar = argparse.ArgumentParser(
        prog="python -m scripts.demo_cluster", description="Kill one of three nodes under load."
    )
    grammar.add_argument("--keep", action="store_true", help="keep the folder with all logs")
    keep = grammar.parse_args(arguments).keep
    signal.signal(signal.SIGTERM, _interrupt)
    # Not below the checkout: processes of other users have to walk to it.
    folder = Path(tempfile.mkdtemp(prefix="casemate-cluster-", dir="/var/tmp"))
    folder.chmod(0o755)
    begun = time.monotonic()
    try:
        postgresql_programs()
        demonstrate(folder)
    except KeyboardInterrupt:
        say("\nInterrupted.")
        return 130
    except (DemoError, OSError, ValueError, KeyError, ExceptionGroup) as error:
        say(f"\nThe demo failed: {error}")
        return 1
    finally:
        if keep:
            say(f"    all logs are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    say(f"\nNothing was lost. The demo took {time.monotonic() - begun:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
