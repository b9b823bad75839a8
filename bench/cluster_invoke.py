"""Measure what a call costs on a node on PostgreSQL, by what it costs on one on SQLite.

    python -m bench.cluster_invoke [--seconds S] [--rounds N] [--json]

Starts PostgreSQL, an S3-compatible server, a node on them and one on SQLite; as root each is in a
network namespace of its own. A reused function, the cheapest call there is, is called at both in
short turns, both first as often. Of each ratio the median of the rounds, and between what half of
them are: `gateway` is processor time of the gateway, `node` that of all processes, `rate` calls a
second, `p50` a call's median. Processor time is what others on the machine change least. Exit code
1 if `node`, `rate` or `p50` is worse by more than is wanted, 2 if it cannot be measured.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from bench.cluster_nodes import FAILURES, invoke_path, nodes
from bench.environment import check_tools
from bench.processes import adopt_orphans, clear_leftovers

WANTED = 1.05


def worse(found: dict[str, float]) -> dict[str, float]:
    """Return how many times as dear it is, by figure, where that is more than is wanted."""
    dear = {"node": found["node"], "rate": 1 / found["rate"], "p50": found["p50"]}
    return {name: times for name, times in dear.items() if times > WANTED}


def main(arguments: Sequence[str]) -> int:
    """Measure and print; return the exit code."""
    grammar = argparse.ArgumentParser(prog="python -m bench.cluster_invoke")
    grammar.add_argument("--seconds", type=int, default=2)
    grammar.add_argument("--rounds", type=int, default=12)
    grammar.add_argument("--json", action="store_true")
    chosen = grammar.parse_args(arguments)
    if chosen.rounds < 2:
        grammar.error("--rounds: at least 2, for a median and a range")
    adopt_orphans()
    try:
        check_tools()
        with nodes(1) as made:
            found = invoke_path(made, chosen.seconds, chosen.rounds)
    except FAILURES as error:
        sys.stderr.write(f"{error}\n")
        return 2
    finally:
        clear_leftovers()
    if chosen.json:
        print(json.dumps({**found, "load": os.getloadavg()[0]}, indent=2))
    else:
        for name in ("gateway", "node", "rate", "p50"):
            low, high = found[f"{name} from"], found[f"{name} to"]
            print(f"{name:8} {found[name]:.3f} ({low:.3f} to {high:.3f})")
        print(f"load {os.getloadavg()[0]:.0f}")
    missed = worse(found)
    for name, times in missed.items():
        print(f"missed: {name} is {times:.3f} times as dear; {WANTED} is wanted")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
