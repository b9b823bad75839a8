"""Measure what counting and tracing add to a call in the gateway, and what Prometheus's look costs.

    python -m bench.observing [--json] [--seconds S]

The figures are of one core that does it over and over; p50 and p99 are of batches of 100 calls.
"Counting" is all that stage 5 does for the numbers of a call; "tracing" is the context of a call
that begins a trace, as the handler is told it and as its record has it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable

from bench.figures import p99, percentile
from casemate.metrics import Registry, functions
from casemate.metrics.exposition import Exposition, Format
from casemate.metrics.registry import MAX_FUNCTIONS
from casemate.model.invocation import Outcome
from casemate.model.tracing import read_context, text_of

TARGET_US = 1.0
BATCH = 100
_ID = "inv_01a21a5c499d6d1728d66ddc"
_PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

Figures = dict[str, dict[str, float]]


def timed(work: Callable[[], object], seconds: float, batch: int = BATCH) -> dict[str, float]:
    """Return the microseconds of one piece of work: p50 and p99 of batches."""
    batches: list[float] = []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        for _ in range(batch):
            work()
        batches.append((time.perf_counter() - began) / batch * 1e6)
    return {"p50": percentile(batches, 0.5), "p99": p99(batches) or max(batches)}


def measure(seconds: float) -> Figures:
    """Return the figures by what is done."""
    registry = Registry()
    for number in range(MAX_FUNCTIONS):
        registry.of("bench", f"f{number}").ran(0.0, 0.001, cold=False)

    def count() -> None:
        figures = registry.of("bench", "f7")
        figures.outcomes[Outcome.OK] += 1
        figures.request_bytes += 20
        figures.response_bytes += 20
        figures.ran(0.0, 0.0004, cold=False)

    def trace() -> str:
        return text_of(_ID, None)

    def taken() -> str:
        return text_of(_ID, read_context(_PARENT))

    def expose() -> str:
        out = Exposition(Format.PLAIN)
        for _ in functions.write(out, [one.told() for one in registry]):
            pass
        return out.text()

    return {
        "counting": timed(count, seconds),
        "tracing": timed(trace, seconds),
        "tracing, from outside": timed(taken, seconds),
        f"exposition of {MAX_FUNCTIONS} functions": timed(expose, seconds, 1),
    }


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.observing", description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=1.0)
    arguments = parser.parse_args()
    figures = measure(arguments.seconds)
    if arguments.json:
        print(json.dumps(figures, indent=2))
        return 0
    for name, one in figures.items():
        print(f"{name:28} p50 {one['p50']:9.2f} us  p99 {one['p99']:9.2f} us")
    met = figures["counting"]["p50"] <= TARGET_US
    print(f"counting: at most {TARGET_US:.0f} us: {'met' if met else 'MISSED'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
