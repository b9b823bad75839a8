"""Measure what a node does with ten times the load that it can bear, and what a neighbour keeps.

    python -m bench.overload [--json FILE] [--seconds N] [--rounds N]

In each round a function is called over 20 connections and over 200, each of which asks again as
soon as it has its answer, whatever that says. Then a function of another project is called over 20
connections, alone and while 200 connections flood four functions of the first project. Ratios are
taken within a round. Exit codes: 0 measured, 1 not.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

from bench.capabilities import CheckoutNode
from bench.client import Endpoint
from bench.environment import INTERPRETER, SOURCES
from bench.figures import median
from bench.load import Load, run
from bench.measured import grammar, report

ROOT = Path(__file__).parent.parent
FEW, MANY = 20, 200
"""Connections: about what the node bears at once, and ten times as many."""
FLOODED = 4
"""Functions of one project that are flooded together."""
KINDS = {"fresh": "request", "reused": "instance"}
GOODPUT_TARGET = 0.9
SHARE_TARGET = 0.8
P99_TARGET = 3.0

Figures = dict[str, Any]


def manifest(project: str) -> str:
    """Return a manifest with functions of both kinds."""
    lines = [f'[project]\nname = "{project}"']
    for kind, isolation in KINDS.items():
        for number in range(FLOODED):
            lines.append(
                f'[function.{kind}{number}]\nhandler = "handler:handle"\n'
                f'python = "{INTERPRETER.minor}"\nisolation = "{isolation}"'
            )
    return "\n\n".join(lines) + "\n"


def of_project(endpoint: Endpoint, project: str, function: str) -> Endpoint:
    """Return the endpoint of another function on the same node."""
    return Endpoint(
        port=endpoint.port, path=f"/invoke/{project}/{function}", headers=endpoint.headers
    )


def goodput(node: CheckoutNode, kind: str, seconds: int) -> Figures:
    """Return right answers a second with few and with many connections."""
    endpoint = node.endpoint(f"{kind}0")
    few, many = run(endpoint, FEW, seconds), run(endpoint, MANY, seconds)
    return {
        "few": few.per_second,
        "many": many.per_second,
        "refused": many.wrong / seconds,
        "share": many.per_second / max(few.per_second, 1e-9),
    }


def neighbour(node: CheckoutNode, kind: str, seconds: int) -> Figures:
    """Return what a function of another project keeps beside a flood."""
    quiet = of_project(node.endpoint(f"{kind}0"), "quiet", f"{kind}0")
    run(quiet, FEW, 1)
    alone = run(quiet, FEW, seconds)
    flood: list[Load] = []

    def pour(number: int) -> None:
        flood.append(run(node.endpoint(f"{kind}{number}"), MANY // FLOODED, seconds + 3))

    threads = [threading.Thread(target=pour, args=(number,)) for number in range(FLOODED)]
    for thread in threads:
        thread.start()
    time.sleep(
        2.0
    )  # what a flood begins with, a process for each function, is not what is measured
    beside = run(quiet, FEW, seconds)
    for thread in threads:
        thread.join()
    poured = sum(load.per_second for load in flood)
    return {
        "alone": alone.per_second,
        "beside": beside.per_second,
        "flood": poured,
        "alone_p99_ms": alone.p99_ms,
        "beside_p99_ms": beside.p99_ms,
        # Two projects call: the share of each is a half of what both get.
        "share": 2 * beside.per_second / max(beside.per_second + poured, 1e-9),
        "p99": beside.p99_ms / max(alone.p99_ms, 1e-9),
        "refused": float(beside.wrong),
    }


def measure(seconds: int, rounds: int) -> Figures:
    """Return all figures, medians over the rounds."""
    node = CheckoutNode(ROOT)
    try:
        node.deploy(manifest("bench"), SOURCES / "delivery")
        quiet = node.folder / "quiet"
        ignored = shutil.ignore_patterns("__pycache__", "*.txt")
        shutil.copytree(SOURCES / "delivery", quiet, ignore=ignored)
        (quiet / "casemate.toml").write_text(manifest("quiet"), "utf-8")
        node.command("deploy", folder=quiet)
        found: dict[str, list[tuple[Figures, Figures]]] = {kind: [] for kind in KINDS}
        for _ in range(rounds):
            for kind, figures in found.items():
                run(node.endpoint(f"{kind}0"), FEW, 1)
                figures.append((goodput(node, kind, seconds), neighbour(node, kind, seconds)))
    finally:
        node.close()
    result: Figures = {}
    for kind, figures in found.items():
        result[kind] = {
            part: {name: median(one[place][name] for one in figures) for name in figures[0][place]}
            for place, part in enumerate(("goodput", "neighbour"))
        }
        result[kind]["met"] = {
            "goodput": result[kind]["goodput"]["share"] >= GOODPUT_TARGET,
            "neighbour": result[kind]["neighbour"]["share"] >= SHARE_TARGET,
            "p99": result[kind]["neighbour"]["p99"] <= P99_TARGET,
        }
    return result


def text(result: Figures) -> str:
    """Return the figures as lines."""
    lines = []
    for kind, figures in result.items():
        good, quiet = figures["goodput"], figures["neighbour"]
        verdict = {name: "met" if met else "MISSED" for name, met in figures["met"].items()}
        lines += [
            f"{kind:7} {FEW} connections {good['few']:6.0f}/s  {MANY} connections "
            f"{good['many']:6.0f}/s and {good['refused']:.0f}/s refused  ({good['share']:.0%}, at "
            f"least {GOODPUT_TARGET:.0%}: {verdict['goodput']})",
            f"{kind:7} neighbour alone {quiet['alone']:6.0f}/s  beside a flood "
            f"{quiet['beside']:6.0f}/s  ({quiet['share']:.0%} of its share, at least "
            f"{SHARE_TARGET:.0%}: {verdict['neighbour']})  p99 {quiet['alone_p99_ms']:.0f} to "
            f"{quiet['beside_p99_ms']:.0f} ms ({quiet['p99']:.1f} times, at most "
            f"{P99_TARGET:g}: {verdict['p99']})",
        ]
    return "\n".join(lines)


def main() -> int:
    """Print the figures."""
    parser = grammar("overload", __doc__)
    arguments = parser.parse_args()
    return report(
        lambda: measure(arguments.seconds, arguments.rounds),
        text,
        arguments.json,
    )


if __name__ == "__main__":
    sys.exit(main())
