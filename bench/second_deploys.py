"""Measure what a deploy of the pandas example sends and costs after a change of one line.

    python -m bench.second_deploys [--rounds N]

Whole and code alone are deployed in turns, to one node. Bytes are those of archives; processor time
is that of the command line, build included. The example's function is excepted from advisories.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.capabilities import CheckoutNode

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples/csv-summary"
_COMMAND = """
import json, os, sys
from casemate.cli import deployment
from casemate.cli.main import main
if sys.argv.pop(1) == "whole":
    deployment._held_pieces = lambda *_: frozenset()
sent, pieces = [], deployment._pieces
def counted(file, total, *rest):
    sent.append(total)
    return pieces(file, total, *rest)
deployment._pieces = counted
try:
    main()
finally:
    print(json.dumps({"bytes": sum(sent), "cpu_s": sum(os.times()[:4])}), file=sys.stderr)
"""


def _deploy(node: CheckoutNode, project: Path, what: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND, what, "deploy", "--approve"],
        cwd=project,
        env=os.environ | node.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stderr.splitlines()[-1]))


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Return the medians of each way."""
    node = CheckoutNode(ROOT)
    try:
        project = node.folder / "project"
        shutil.copytree(EXAMPLE, project)
        node.command(
            *("advisories", "except", "csv-summary/summary", "--without-advisories"),
            *("--for", "1d", "--reason", "measured on this machine"),
        )
        _deploy(node, project, "whole")
        found: dict[str, list[dict[str, Any]]] = {"whole": [], "code": []}
        for number in range(2 * rounds):
            what = "whole" if number % 4 in (0, 3) else "code"
            with (project / "src/summary.py").open("a") as code:
                code.write(f"\nCHANGED = {number}\n")
            found[what].append(_deploy(node, project, what))
        return {
            what: {name: round(statistics.median(one[name] for one in each), 2) for name in each[0]}
            for what, each in found.items()
        }
    finally:
        node.close()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    print(json.dumps(measure(parser.parse_args().rounds), indent=2))


if __name__ == "__main__":
    main()
