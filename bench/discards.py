"""Measure how often handlers as people write them are not restored after a call, and why.

    python -m bench.discards [--json] [--calls N]

deploys those of `bench.typical` that call nobody, calls each in turn, and asks the node. Exit
codes: 0 measured, 1 not.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bench.client import Connection, encode
from bench.environment import check_tools
from bench.errors import BenchError, WrongAnswerError
from bench.processes import adopt_orphans, clear_leftovers
from bench.results import MOST_DISCARDS, Discards
from bench.targets import Node
from bench.targets.casemate import PROJECT, PYTHON
from bench.typical import PROXIED, TYPICAL

DEPLOY_TIMEOUT = 180.0
EVENT = {"n": 1}


def handlers() -> dict[str, str]:
    """Return the sources that need no server to call, by what they do."""
    return {what: source for what, source in TYPICAL.items() if what not in PROXIED}


def run(calls: int) -> Discards:
    """Measure on a node of its own. Raises BenchError."""
    node = Node()
    try:
        node.start()
        names = _deploy(node)
        shares, reasons = {}, {}
        for what, name in names.items():
            told = _called(node, name, calls)
            shares[what] = told["discarded"] / calls
            if told["reasons"]:
                reasons[what] = told["reasons"][0]["reason"]
        return Discards(shares=shares, reasons=reasons)
    finally:
        node.close()


def _deploy(node: Node) -> Mapping[str, str]:
    """Deploy each handler; return their functions' names by what they do."""
    folder = node.folder / "project" / "typical"
    names, lines = {}, ["[project]", f'name = "{PROJECT}"']
    for number, (what, source) in enumerate(handlers().items()):
        names[what] = name = f"typical-{number}"
        (folder / name).mkdir(parents=True)
        (folder / name / "app.py").write_text(source, "utf-8")
        lines += [f"[function.{name}]", 'handler = "app:handler"', f'source = "{name}"']
        lines += [f'python = "{PYTHON}"', 'limits = { memory = "512MB", tmp = "16MB" }']
    (folder / "casemate.toml").write_text("\n".join(lines) + "\n", "utf-8")
    node.deploy_folder(folder, DEPLOY_TIMEOUT)
    return names


def _called(node: Node, name: str, calls: int) -> dict[str, Any]:
    """Call a function so often; return what the node tells of its processes then."""
    endpoint = node.endpoint(name)
    connection, request = Connection(endpoint), encode(endpoint, EVENT)
    try:
        for _ in range(calls):
            status = connection.exchange(request).status
            if status != 200:
                raise WrongAnswerError(f"{name} answered {status}")
    finally:
        connection.close()
    url = f"http://{endpoint.host}:{endpoint.port}/api/v1/functions/{PROJECT}/{name}/restoring"
    asked = urllib.request.Request(url, headers=dict(endpoint.headers))
    with urllib.request.urlopen(asked, timeout=10) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


def report(found: Discards) -> str:
    """Return the figures as text."""
    lines = [f"{found.restored} of {len(found.shares)} handlers with {MOST_DISCARDS:.0%} or less"]
    for what, share in sorted(found.shares.items(), key=lambda one: -one[1]):
        if share:
            lines.append(f"  {share:6.1%}  {what}: {found.reasons.get(what, '')}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.discards", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--calls", type=int, default=100, help="of each handler")
    options = parser.parse_args(arguments)
    adopt_orphans()
    try:
        check_tools()
        found = run(options.calls)
    except (BenchError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        clear_leftovers()
    print(msgspec.json.encode(found).decode() if options.json else report(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
