"""Measure what budgets and a quota add to what a call costs the gateway: processor time, by call.

    python -m bench.budgets [--json FILE] [--seconds N] [--rounds N]

One node, over one connection and over sixteen: in turns with no budget, and with a hard one in
money, one in requests of its function, one in CPU seconds of its caller, and a quota, none of which
is ever reached. Of a function with reused instances the gateway's processor time counts, of one
whose calls are isolated that of all processes: the target is of the latter, the invoke path. Uses
are metered in both: what that costs is in `bench.gateway_cpu --before CHECKOUT`. Exit codes: 0
measured, whether or not the target is met; 1 not.
"""

from __future__ import annotations

import statistics
import sys

from bench.figures import rotated
from bench.gateway_cpu import CONNECTIONS, ROOT, Figures, Measured
from bench.measured import grammar, report

TARGET = 1.03
_FUNCTIONS = {"reused": "us", "isolated": "all_us"}
"""Each with what counts of it."""
_TEXTS = {"reused": "of the gateway", "isolated": "of all processes"}
_SET = (
    "budget set bench money 1000000 --per month --hard",
    "budget set bench requests 1000000000 --unit requests --per day --hard --function {function}",
    "budget set bench cpu 100000000 --unit cpu-seconds --per hour --hard --caller {caller}",
    "budget quota bench rate 1000000 --seconds 1 --each caller",
)
_REMOVE = tuple(f"budget rm bench {name} --yes" for name in ("money", "requests", "cpu", "rate"))


def measure(seconds: int, rounds: int) -> Figures:
    """Return microseconds by call with and without, and the median of their ratios by round."""
    measured = Measured(ROOT)
    taken: dict[tuple[str, int], list[dict[str, float]]] = {
        (function, each): [] for function in _FUNCTIONS for each in CONNECTIONS
    }
    try:
        caller = str(measured.node.read("whoami", "--json")["principal"])
        for number in range(rounds):
            for function, counts in _FUNCTIONS.items():
                found: dict[int, dict[str, float]] = {each: {} for each in CONNECTIONS}
                for name in rotated(["without", "with"], number):
                    if found_budgets(measured):
                        for command in _REMOVE:
                            measured.node.command(*command.split())
                    for command in _SET if name == "with" else ():
                        words = command.format(caller=caller, function=function).split()
                        measured.node.command(*words)
                    for each in CONNECTIONS:
                        found[each][name] = measured.round(each, seconds, function)[counts]
                for each in CONNECTIONS:
                    taken[function, each].append(found[each])
    finally:
        measured.node.close()
    return {
        function: {
            str(each): {
                "without_us": statistics.median(one["without"] for one in taken[function, each]),
                "with_us": statistics.median(one["with"] for one in taken[function, each]),
                "ratio": statistics.median(
                    one["with"] / one["without"] for one in taken[function, each]
                ),
            }
            for each in CONNECTIONS
        }
        for function in _FUNCTIONS
    }


def found_budgets(measured: Measured) -> bool:
    """Tell whether any is set."""
    found = measured.node.read("budget", "ls", "--json")
    return bool(found["budgets"] or found["quotas"])


def text(result: Figures) -> str:
    """Return the figures as lines."""
    lines = [
        f"{function:8} {connections:>2} connections: {found['with_us']:.1f} us "
        f"{_TEXTS[function]} by call with budgets, {found['without_us']:.1f} without: "
        f"{found['ratio']:.3f}"
        for function, by_connections in result.items()
        for connections, found in by_connections.items()
    ]
    worst = max(found["ratio"] for found in result["isolated"].values())
    met = "met" if worst <= TARGET else "MISSED"
    return "\n".join([*lines, f"target <= {TARGET:g} of the invoke path, isolated: {met}"])


def main() -> int:
    """Print the figures."""
    arguments = grammar("budgets", __doc__).parse_args()
    return report(lambda: measure(arguments.seconds, arguments.rounds), text, arguments.json)


if __name__ == "__main__":
    sys.exit(main())
