"""Measure what a restored call costs each process of a node, beside a fork for each call.

    python -m bench.restoring [--json FILE] [--seconds N] [--rounds N] [--before FOLDER]

The plain handler and the one with pandas are called over sixteen connections, restored and with
`fresh = "process"`, in turns. What is told is processor time, not a rate: that of each process by
right answer, the sandboxes' in one, those of ended instances included. `--before` names another
checkout: its node and this one are measured in turns, the other at rest, and compared within each
round. Exit codes: 0 measured, 1 not.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Any

from bench import load
from bench.capabilities import CheckoutNode
from bench.client import Endpoint
from bench.errors import WrongAnswerError
from bench.figures import rotated
from bench.measured import grammar, report
from bench.processes import tree
from bench.results import TABLES
from bench.roles import ByRole, microseconds, processor_seconds
from bench.targets.casemate import Plan, write_project

ROOT = Path(__file__).parent.parent
CONNECTIONS = 16
WAYS = {"restored": "", "forked": "process"}
PLANS = tuple(
    Plan(name=f"{handler}-{way}", handler=handler, fresh=fresh)
    for handler in ("plain", TABLES)
    for way, fresh in WAYS.items()
)
_WARM_SECONDS = 2

Figures = dict[str, Any]


def by_role(node: CheckoutNode, endpoint: Endpoint, seconds: int) -> tuple[ByRole, load.Load]:
    """Load an endpoint; return the microseconds of each role by call, and what the load has seen.

    Raises WrongAnswerError.
    """
    before = processor_seconds(tree(node.process))
    found = load.run(endpoint, CONNECTIONS, seconds)
    after = processor_seconds(tree(node.process))
    if found.wrong or found.lost or not found.right:
        raise WrongAnswerError(f"{found.wrong + found.lost} wrong answers of {found.right}.")
    return microseconds(before, after, found.right), found


class Measured:
    """One node with the functions."""

    def __init__(self, checkout: Path) -> None:
        """Start and deploy."""
        serve = (checkout / "src/casemate/cli/commands/serve.py").read_text("utf-8")
        self.node = CheckoutNode(checkout, *(["--restore"] if "--restore" in serve else []))
        try:
            project = self.node.folder / "project"
            write_project(project, "bench", PLANS)
            advisories = checkout / "examples" / "advisories"
            if advisories.is_dir():  # of a checkout whose nodes take no package without
                given = ("import", str(advisories), "--ecosystem", "PyPI", "--node")
                self.node.command("advisories", *given)
            self.node.command("deploy", folder=project)
        except BaseException:
            self.node.close()
            raise

    def round(self, function: str, seconds: int) -> Figures:
        """Return microseconds by call of each role and of all, and what the load has seen."""
        endpoint = self.node.endpoint(function)
        load.run(endpoint, CONNECTIONS, _WARM_SECONDS)
        us, found = by_role(self.node, endpoint, seconds)
        return {
            "us": sum(us.values()),
            **{f"{role}_us": one for role, one in us.items()},
            "per_second": found.per_second,
            "p50_ms": found.p50_ms,
        }


def measure(seconds: int, rounds: int, before: Path | None = None) -> Figures:
    """Return the figures by checkout and function, medians over the rounds, and the ratios."""
    nodes: dict[str, Measured] = {}
    taken: dict[tuple[str, str], list[Figures]] = {}
    try:
        for name, checkout in ({"now": ROOT} | ({"before": before} if before else {})).items():
            nodes[name] = Measured(checkout)
        for number in range(rounds):
            for plan in rotated(PLANS, number):
                for name in rotated(list(nodes), number):
                    found = nodes[name].round(plan.name, seconds)
                    taken.setdefault((name, plan.name), []).append(found)
    finally:
        for measured in nodes.values():
            measured.node.close()
    figures: Figures = {name: {} for name in nodes}
    for (name, function), rounds_of in taken.items():
        figures[name][function] = {
            key: statistics.median(one.get(key, 0.0) for one in rounds_of) for key in rounds_of[0]
        }
    figures["ratio"] = _ratios(taken, figures)
    return figures


def _ratios(taken: dict[tuple[str, str], list[Figures]], figures: Figures) -> Figures:
    """Return forked by restored for each checkout, and now by before for each function."""

    def ratio(upper: tuple[str, str], lower: tuple[str, str]) -> float:
        pairs = zip(taken[upper], taken[lower], strict=True)
        return float(statistics.median(above["us"] / below["us"] for above, below in pairs))

    ratios: Figures = {}
    for name in figures:
        for handler in ("plain", TABLES):
            forked, restored = (name, f"{handler}-forked"), (name, f"{handler}-restored")
            ratios[f"{handler}, forked / restored, {name}"] = ratio(forked, restored)
    if "before" in figures:
        for plan in PLANS:
            ratios[f"{plan.name}, now / before"] = ratio(("now", plan.name), ("before", plan.name))
    return ratios


def text(result: Figures) -> str:
    """Return the figures as lines."""
    lines = []
    for name in ("before", "now"):
        for function, found in result.get(name, {}).items():
            roles = sorted(
                ((one, key) for key, one in found.items() if key.endswith("_us") and one >= 1),
                reverse=True,
            )
            by_role = ", ".join(f"{key.removesuffix('_us')} {one:.0f}" for one, key in roles)
            lines.append(
                f"{name:6} {function:16} {found['us']:6.0f} us by call ({by_role}), "
                f"{found['per_second']:.0f}/s, p50 {found['p50_ms']:.2f} ms"
            )
    lines += [f"ratio  {what}: {ratio:.2f}" for what, ratio in result["ratio"].items()]
    return "\n".join(lines)


def main() -> int:
    """Print the figures."""
    parser = grammar("restoring", __doc__)
    parser.add_argument("--before", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    return report(
        lambda: measure(arguments.seconds, arguments.rounds, arguments.before),
        text,
        arguments.json,
    )


if __name__ == "__main__":
    sys.exit(main())
