"""Measure what processes that take connections spare the gateway, by call.

    python -m bench.gateways [--json FILE] [--seconds N] [--rounds N]

A plain function is called over sixteen connections, reused and restored, by TLS, and over a
connection for each call, on nodes with `--gateways 1` and with 2, in turns, the others at rest.
What is told is processor time by right answer, of the gateway, of the workers and of all. Where
each process has a core, a node gives as many answers as its busiest process has time for: that
bound is told, and no rate, which two cores that the load shares would not show.
Exit codes: 0 measured, 1 not.
"""

from __future__ import annotations

import statistics
import sys
from itertools import product
from typing import Any

from msgspec.structs import replace

from bench import load
from bench.figures import rotated
from bench.gateway_cpu import MANIFEST, ROOT, deployed
from bench.measured import grammar, report
from bench.restoring import CONNECTIONS, by_role

WAYS: dict[str, tuple[str, bool, tuple[tuple[str, str], ...]]] = {
    "reused": ("reused", False, ()),
    "restored": ("isolated", False, ()),
    "reused, by TLS": ("reused", True, ()),
    "reused, a connection each": ("reused", False, (("Connection", "close"),)),
    "reused, a connection each by TLS": ("reused", True, (("Connection", "close"),)),
}
"""Function, whether TLS is spoken, and more headers."""
GATEWAYS = (1, 2)
_GATEWAY, _WORKERS = "gateway", "http_workers"

Figures = dict[str, Any]
Headers = tuple[tuple[str, str], ...]


class Measured:
    """One node with the functions."""

    def __init__(self, gateways: int, *, tls: bool) -> None:
        """Start and deploy."""
        # A trusted one, as a proxy is, does not wait for its turn to greet.
        more = ("--tls-name", "localhost", "--trusted-proxy", "127.0.0.1") if tls else ()
        self.node = deployed(ROOT, MANIFEST, "--gateways", str(gateways), *more)

    def round(self, function: str, headers: Headers, seconds: int) -> Figures:
        """Return microseconds by call of the gateway, the workers and all."""
        endpoint = self.node.endpoint(function)
        endpoint = replace(endpoint, headers=(*endpoint.headers, *headers))
        load.run(endpoint, CONNECTIONS, 1)
        us, found = by_role(self.node, endpoint, seconds)
        return {
            "gateway_us": us.get(_GATEWAY, 0.0),
            "workers_us": us.get(_WORKERS, 0.0),
            "us": sum(us.values()),
            "per_second": found.per_second,
        }


def measure(seconds: int, rounds: int) -> Figures:
    """Return the figures by function and number of gateways, medians over the rounds."""
    nodes: dict[tuple[int, bool], Measured] = {}
    taken: dict[tuple[str, int], list[Figures]] = {}
    try:
        for gateways, tls in product(GATEWAYS, (False, True)):
            nodes[gateways, tls] = Measured(gateways, tls=tls)
        for number in range(rounds):
            for way, (function, tls, headers) in WAYS.items():
                for gateways in rotated(GATEWAYS, number):
                    found = nodes[gateways, tls].round(function, headers, seconds)
                    taken.setdefault((way, gateways), []).append(found)
    finally:
        for measured in nodes.values():
            measured.node.close()
    figures: Figures = {way: {} for way in WAYS}
    for (way, gateways), rounds_of in taken.items():
        figures[way][str(gateways)] = found = {
            key: statistics.median(one[key] for one in rounds_of) for key in rounds_of[0]
        }
        busiest = max(found["gateway_us"], found["workers_us"] / max(1, gateways - 1))
        found["bound_per_second"] = 1e6 / busiest
    for found in figures.values():
        one, two = (found[str(gateways)]["bound_per_second"] for gateways in GATEWAYS)
        found["bound_ratio"] = two / one
    return figures


def text(result: Figures) -> str:
    """Return the figures as lines."""
    lines = []
    for way, found in result.items():
        for gateways in GATEWAYS:
            one = found[str(gateways)]
            lines.append(
                f"{way:32} gateways {gateways}: gateway {one['gateway_us']:6.1f} us by call, "
                f"workers {one['workers_us']:6.1f}, all {one['us']:6.1f}; at most "
                f"{one['bound_per_second']:.0f}/s with a core for each"
            )
        lines.append(f"{way:32} bound: {found['bound_ratio']:.2f} x")
    return "\n".join(lines)


def main() -> int:
    """Print the figures."""
    arguments = grammar("gateways", __doc__).parse_args()
    return report(lambda: measure(arguments.seconds, arguments.rounds), text, arguments.json)


if __name__ == "__main__":
    sys.exit(main())
