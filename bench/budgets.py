"""Measure what budgets and a quota add to what a call costs the gateway: processor time, by call.

    python -m bench.budgets [--json FILE] [--seconds N] [--rounds N]

One node, one function with reused instances, over one connection and over sixteen: in turns with
no budget, and with a hard one in money, one in requests of its function, one in CPU seconds of its
caller, and a quota, none of which is ever reached. Uses are metered in both: what that costs is in
`bench.gateway_cpu --before CHECKOUT`. Exit codes: 0 measured, whether or not the target is met; 1
not.
"""

from __future__ import annotations

import statistics
import sys

from bench.figures import rotated
from bench.gateway_cpu import CONNECTIONS, ROOT, Figures, Measured
from bench.measured import grammar, report

TARGET = 1.03
_SET = (
    "budget set bench money 1000000 --per month --hard",
    "budget set bench requests 1000000000 --unit requests --per day --hard --function reused",
    "budget set bench cpu 100000000 --unit cpu-seconds --per hour --hard --caller {caller}",
    "budget quota bench rate 1000000 --seconds 1 --each caller",
)
_REMOVE = tuple(f"budget rm bench {name} --yes" for name in ("money", "requests", "cpu", "rate"))


def measure(seconds: int, rounds: int) -> Figures:
    """Return microseconds by call with and without, and the median of their ratios by round."""
    measured = Measured(ROOT)
    taken: dict[int, list[dict[str, Figures]]] = {each: [] for each in CONNECTIONS}
    try:
        caller = str(measured.node.read("whoami", "--json")["principal"])
        for number in range(rounds):
            found: dict[int, dict[str, Figures]] = {each: {} for each in CONNECTIONS}
            for name in rotated(["without", "with"], number):
                for command in _SET if name == "with" else _REMOVE:
                    if name == "with" or found_budgets(measured):
                        measured.node.command(*command.format(caller=caller).split())
                for connections in CONNECTIONS:
                    found[connections][name] = measured.round(connections, seconds)
            for connections in CONNECTIONS:
                taken[connections].append(found[connections])
    finally:
        measured.node.close()
    return {
        str(connections): {
            "without_us": statistics.median(one["without"]["us"] for one in each),
            "with_us": statistics.median(one["with"]["us"] for one in each),
            "ratio": statistics.median(one["with"]["us"] / one["without"]["us"] for one in each),
        }
        for connections, each in taken.items()
    }


def found_budgets(measured: Measured) -> bool:
    """Tell whether any is set."""
    found = measured.node.read("budget", "ls", "--json")
    return bool(found["budgets"] or found["quotas"])


def text(result: Figures) -> str:
    """Return the figures as lines."""
    lines = [
        f"{connections:>2} connections: {found['with_us']:.1f} us of the gateway by call with "
        f"budgets, {found['without_us']:.1f} without: {found['ratio']:.3f}"
        for connections, found in result.items()
    ]
    met = "met" if all(found["ratio"] <= TARGET for found in result.values()) else "MISSED"
    return "\n".join([*lines, f"target <= {TARGET:g}: {met}"])


def main() -> int:
    """Print the figures."""
    arguments = grammar("budgets", __doc__).parse_args()
    return report(lambda: measure(arguments.seconds, arguments.rounds), text, arguments.json)


if __name__ == "__main__":
    sys.exit(main())
