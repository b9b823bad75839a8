"""Measure what budgets and a quota add to what a call costs the gateway: processor time, by call.

    python -m bench.budgets [--json FILE] [--seconds N] [--rounds N]

One node with the same functions in two projects, one of which has a hard budget in money, one in
requests of the function, one in CPU seconds of its caller, and a quota, none of which is ever
reached. The two are called in turns of a second, N in a round, over one connection and over
sixteen; then the other project has the budgets. What counts is the median of the ratios of turns
that follow each other: what else runs on the machine changes more slowly than that. Of a function
with reused instances the gateway's processor time counts, of one whose calls are isolated that of
all processes: the target is of the latter, the invoke path. Budgets are asked in the gateway alone,
so what they add there is told as a part of all of it too, and decides: what else a call takes in
other processes differs by more from one second to the next. Uses are metered in both: what that
takes is measured by its parts (`bench.metering`) and counted in. Exit codes: 0 measured, whether or
not the target is met; 1 not.
"""

from __future__ import annotations

import statistics
import sys

from bench import load, metering
from bench.figures import rotated
from bench.gateway_cpu import CONNECTIONS, MANIFEST, ROOT, Figures, Measured
from bench.measured import grammar, report

TARGET = 1.03
_FUNCTIONS = {"reused": "us", "isolated": "all_us"}
"""Each with what counts of it."""
_TEXTS = {"reused": "of the gateway", "isolated": "of all processes"}
_PROJECTS = ("bench", "other")
_SET = (
    "budget set {project} money 1000000 --per month --hard",
    "budget set {project} requests 1000000000 --unit requests --per day --hard "
    "--function {function}",
    "budget set {project} cpu 100000000 --unit cpu-seconds --per hour --hard --caller {caller}",
    "budget quota {project} rate 1000000 --seconds 1 --each caller",
)
_NAMES = ("money", "requests", "cpu", "rate")


class _Compared:
    """A node with two projects that are alike, but for budgets."""

    def __init__(self) -> None:
        self.measured = Measured(ROOT)
        self._node = self.measured.node
        try:
            other = MANIFEST.replace(f'name = "{_PROJECTS[0]}"', f'name = "{_PROJECTS[1]}"')
            self._node.deploy(other, self._node.folder / "handlers")
            self._caller = str(self._node.read("whoami", "--json")["principal"])
        except BaseException:
            self._node.close()
            raise

    def bound(self, project: str, function: str) -> None:
        """Have that project alone have budgets."""
        for each in _PROJECTS:
            listed = self._node.read("budget", "ls", each, "--json")
            for name in _NAMES if listed["budgets"] or listed["quotas"] else ():
                self._node.command("budget", "rm", each, name, "--yes")
        for command in _SET:
            words = command.format(project=project, function=function, caller=self._caller)
            self._node.command(*words.split())

    def pairs(self, function: str, connections: int, turns: int, bound: str) -> list[Figures]:
        """Return microseconds by call of turns that follow each other, with and without."""
        names = {name: "with" if name == bound else "without" for name in _PROJECTS}
        ends = {name: self._node.endpoint(function, name) for name in _PROJECTS}
        for endpoint in ends.values():
            load.run(endpoint, connections, 1)
        return [
            {
                names[name]: self.measured.turn(ends[name], connections, 1)
                for name in rotated(list(_PROJECTS), number)
            }
            for number in range(turns)
        ]


def measure(turns: int, rounds: int) -> Figures:
    """Return microseconds by call with and without, and the median of their ratios."""
    taken: dict[tuple[str, int], list[Figures]] = {
        (function, each): [] for function in _FUNCTIONS for each in CONNECTIONS
    }
    compared = _Compared()
    try:
        for number in range(rounds):
            bound = _PROJECTS[number % 2]
            for function in _FUNCTIONS:
                compared.bound(bound, function)
                for each in CONNECTIONS:
                    taken[function, each] += compared.pairs(function, each, turns, bound)
    finally:
        compared.measured.node.close()
    found: Figures = {
        function: {str(each): _medians(taken[function, each], counts) for each in CONNECTIONS}
        for function, counts in _FUNCTIONS.items()
    }
    return {**found, "metering": metering.parts()}


def _medians(pairs: list[Figures], counts: str) -> Figures:
    """Return the medians of turns, and of what differs between two that follow each other."""
    return {
        "without_us": statistics.median(one["without"][counts] for one in pairs),
        "with_us": statistics.median(one["with"][counts] for one in pairs),
        "ratio": statistics.median(one["with"][counts] / one["without"][counts] for one in pairs),
        "by_gateway": statistics.median(
            1 + (one["with"]["us"] - one["without"]["us"]) / one["without"][counts] for one in pairs
        ),
    }


def text(result: Figures) -> str:
    """Return the figures as lines."""
    lines = [
        f"{function:8} {connections:>2} connections: {found['with_us']:.1f} us "
        f"{_TEXTS[function]} by call with budgets, {found['without_us']:.1f} without: "
        f"{found['ratio']:.3f}, by what the gateway takes more {found['by_gateway']:.3f}"
        for function in _FUNCTIONS
        for connections, found in result[function].items()
    ]
    metered = sum(result["metering"].values())
    parts = ", ".join(f"{name} {us:.1f}" for name, us in result["metering"].items())
    isolated = result["isolated"].values()
    worst = max(one["by_gateway"] + metered / (one["without_us"] - metered) for one in isolated)
    met = "met" if worst <= TARGET else "MISSED"
    return "\n".join(
        [
            *lines,
            f"metering: {metered:.1f} us by call ({parts})",
            f"both, by the gateway: {worst:.3f}; target <= {TARGET:g} of the invoke path, "
            f"isolated: {met}",
        ]
    )


def main() -> int:
    """Print the figures."""
    parser = grammar("budgets", __doc__)
    parser.set_defaults(seconds=8, rounds=4)
    arguments = parser.parse_args()
    return report(lambda: measure(arguments.seconds, arguments.rounds), text, arguments.json)


if __name__ == "__main__":
    sys.exit(main())
