"""Measure how long after it was sent to a server outside an event is at its function.

    python -m bench.sources [--json FILE] [--rate N] [--seconds N] [--only KIND,...]

A node, the real servers, and a function for each; the servers are started one at a time, with the
fixtures of the tests. Messages are sent as they are due at the rate (200/s), mostly one at a time,
and acknowledged by the server where it does so. Each carries the time at which it was sent, and the
lag is taken within the handler. Exit codes: 0 measured, 1 not, or an event is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.capabilities import CheckoutNode
from bench.environment import INTERPRETER, SOURCES
from bench.figures import p99, percentile
from bench.processes import adopt_orphans, clear_leftovers

ROOT = Path(__file__).parent.parent
KINDS = ("valkey", "postgres", "rabbitmq", "mqtt", "nats")
_PAUSE_SECONDS = 0.005
"""How often it is looked at what is due by then."""
_MANIFEST = """
[project]
name = "bench"
[function.{kind}]
handler = "handler:handle"
python = "{python}"
isolation = "instance"
limits = {{ concurrency = 1 }}
[[function.{kind}.{kind}]]
host = "127.0.0.1"
port = {port}
tls = false
private = true
exception = "the server that is measured"
password = "server-password"
{settings}
"""
_SETTINGS = {
    "valkey": 'stream = "bench"',
    "postgres": 'user = "reader"\ndatabase = "postgres"\noutbox = "bench"\nchannel = "wake"',
    "rabbitmq": 'user = "casemate"\nqueue = "bench"',
    "mqtt": 'user = "anybody"\ntopic = "bench/#"',
    "nats": 'user = "casemate"\nsubject = "bench.*"\nstream = "bench"',
}


def _cases() -> tuple[dict[str, Any], Any]:
    """Return the cases of the tests by kind, and how their servers are run."""
    sys.path.insert(0, str(ROOT / "tests"))
    cases = importlib.import_module("support.source_cases").CASES
    return {case.kind.name: case for case in cases}, importlib.import_module(
        "support.outside_servers"
    )


async def _send(case: Any, rate: int, seconds: float) -> int:
    """Send at the rate; return how many were sent."""
    async with case.feed("bench") as send:
        begun, sent = time.monotonic(), 0
        while (passed := time.monotonic() - begun) < seconds:
            due = int(passed * rate) - sent
            if due > 0:
                now = time.time()
                await send(*(json.dumps({"at": now, "n": sent + i}).encode() for i in range(due)))
                sent += due
            await asyncio.sleep(_PAUSE_SECONDS)
    return sent


def _connected(node: CheckoutNode, kind: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = node.read("sources", "ls", "--json")
        if any(s["connected"] for s in found["sources"] if s["function"] == kind):
            return
        time.sleep(0.1)
    raise TimeoutError(f"{kind} was not connected to within 20 s")


def measure(kind: str, rate: int, seconds: float) -> dict[str, Any]:
    """Return the figures of one kind, in milliseconds."""
    cases, servers = _cases()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / kind
        path.mkdir()
        with servers.running(cases[kind].kind, path) as server:
            case = cases[kind](server)
            asyncio.run(case.prepare("bench"))
            node = CheckoutNode(ROOT)
            try:
                return _measured(node, kind, case, rate, seconds)
            finally:
                node.close()


def _measured(
    node: CheckoutNode, kind: str, case: Any, rate: int, seconds: float
) -> dict[str, Any]:
    node.command("secrets", "set", "bench/server-password", stdin=case.server.password)
    manifest = _MANIFEST.format(
        kind=kind, port=case.server.port, settings=_SETTINGS[kind], python=INTERPRETER.minor
    )
    node.deploy(manifest, SOURCES / "sources", "--approve")
    _connected(node, kind)
    asyncio.run(case.send("bench", json.dumps({"at": time.time(), "n": -1}).encode()))
    time.sleep(1.0)
    node.ask(kind, {})  # what warmed it up does not count
    sent = asyncio.run(_send(case, rate, seconds))
    lags: list[float] = []
    deadline = time.monotonic() + 20
    while len(lags) < sent and time.monotonic() < deadline:
        time.sleep(0.2)
        lags += node.ask(kind, {})
    milliseconds = [lag * 1000 for lag in lags]
    last = p99(milliseconds)
    return {
        "sent": sent,
        "handled": len(lags),
        "p50": round(percentile(milliseconds, 0.5), 2),
        "p99": None if last is None else round(last, 2),
    }


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.sources", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--only", default=",".join(KINDS), help=f"of: {', '.join(KINDS)}")
    arguments = parser.parse_args()
    adopt_orphans()
    results: dict[str, dict[str, Any]] = {}
    try:
        for kind in arguments.only.split(","):
            results[kind] = found = measure(kind, arguments.rate, arguments.seconds)
            print(
                f"{kind:9} p50 {found['p50']:8.2f} ms  p99 {found['p99'] or 0:8.2f} ms  "
                f"{found['handled']} of {found['sent']} at {arguments.rate}/s",
                flush=True,
            )
    finally:
        clear_leftovers()
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2), "utf-8")
    return int(any(found["handled"] != found["sent"] for found in results.values()))


if __name__ == "__main__":
    sys.exit(main())
