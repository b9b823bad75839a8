"""Measure what a decision of the policy costs, as admission and each capability ask for it.

    python -m bench.policy [--json] [--seconds S]

The figures are of one core that is asked over and over; p50 and p99 are of batches of 100
decisions. Known decisions are answered from the cache, new ones are worked out by Cedar.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable

from bench.figures import p99, percentile
from casemate.model.account import PolicyFile
from casemate.model.principal import (
    Action,
    Principal,
    PrincipalKind,
    Resource,
    ResourceKind,
    RoleBinding,
)
from casemate.policy import CedarPolicy

TARGET_US = 20.0
BATCH = 100
_CUSTOM = """\
@id("no-vault-bucket")
forbid (
  principal,
  action == Casemate::Action::"bucket:read",
  resource == Casemate::Bucket::"bench/kept-away"
);
"""


def function(number: int) -> Resource:
    """Return one of many functions."""
    return Resource(kind=ResourceKind.FUNCTION, project="bench", name=f"f{number}")


def caller() -> Principal:
    """Return a service token that may invoke the functions of the project."""
    return Principal(
        kind=PrincipalKind.TOKEN,
        id="0123456789abcdef",
        bindings=(RoleBinding(role="invoker", project="bench"),),
    )


def timed(decide: Callable[[int], bool], seconds: float) -> dict[str, float]:
    """Return the microseconds of one decision: p50 and p99 of batches."""
    batches: list[float] = []
    number, end = 0, time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        for _ in range(BATCH):
            number += 1
            if not decide(number):
                raise SystemExit("a decision is wrong: what is allowed was denied")
        batches.append((time.perf_counter() - began) / BATCH * 1e6)
    return {"p50": percentile(batches, 0.5), "p99": p99(batches) or max(batches)}


def measure(seconds: float) -> dict[str, dict[str, float]]:
    """Return the figures by what is asked."""
    policy = CedarPolicy(
        [PolicyFile(name="custom", text=_CUSTOM, changed_at=0.0, changed_by="user:ada")]
    )
    who, known = caller(), function(0)
    bucket = Resource(kind=ResourceKind.BUCKET, project="bench", name="files")
    granted = Principal(kind=PrincipalKind.FUNCTION, id="bench/f0")

    def invoke(_: int) -> bool:
        return policy.allows(who, Action.FUNCTION_INVOKE, known)

    def capability(_: int) -> bool:
        return policy.allows(granted, Action.BUCKET_READ, bucket, granted=True)

    def new(number: int) -> bool:
        return policy.allows(who, Action.FUNCTION_INVOKE, function(number))

    return {
        "invoke, known": timed(invoke, seconds),
        "bucket read, known": timed(capability, seconds),
        "invoke, new": timed(new, seconds),
    }


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.policy", description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    figures = measure(arguments.seconds)
    if arguments.json:
        print(json.dumps(figures, indent=2))
        return 0
    for name, one in figures.items():
        print(f"{name:20} p50 {one['p50']:7.2f} us  p99 {one['p99']:7.2f} us")
    met = all(figures[name]["p50"] <= TARGET_US for name in figures if "known" in name)
    print(f"known decisions: at most {TARGET_US:.0f} us: {'met' if met else 'MISSED'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
