"""Measure what the check of an event costs: decoding included, as admission does it.

    python -m bench.contracts [--json] [--seconds S]

The figures are of one core that is asked over and over; p50 is of batches of 200 checks.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

import msgspec

from casemate.admission.contract import Contracts
from casemate.contracts import infer
from casemate.model.deployment import Version
from casemate.model.function import FunctionSpec
from casemate.model.path import RawInvocation, Request

TARGET_US = 10.0
BATCH = 200
SIZES = (100, 1024, 16 * 1024)


def event(size: int) -> bytes:
    """Return an order of about `size` bytes: lines with numbers and texts, and a note."""
    order: dict[str, object] = {
        "id": "6f1e4500-3e45-4e99-8e10-1e2e3e4e5e6e",
        "at": "2026-03-01T12:00:00Z",
        "lines": [],
    }
    lines: list[object] = []
    while len(msgspec.json.encode({**order, "lines": lines})) < size - 60:
        note = "left at the door, ring twice, mind the dog and the step" * 2
        lines.append({"sku": f"ABC-{len(lines)}", "quantity": 3, "price": 19.99, "note": note})
    return msgspec.json.encode({**order, "lines": lines})


def version(contract: str) -> Version:
    """Return a version of a function with a contract for direct calls, or without one."""
    return Version(
        project="bench",
        function="f",
        number=1,
        digest="a" * 64,
        spec=FunctionSpec(name="f", handler="app:handler", contract=contract),
        created_at=0.0,
        created_by="bench",
    )


def request(data: bytes) -> Request:
    """Return a direct call with this payload."""
    raw = RawInvocation(
        trigger="invoke",
        project="bench",
        function="f",
        qualifier=None,
        credential=None,
        content_type="application/json",
        body=data,
        received_at=0.0,
    )
    return Request(id="inv_bench", raw=raw, event=data)


def measure(
    contract: str, data: bytes, seconds: float, *, refused: bool = False
) -> dict[str, float]:
    """Return how long one check takes, in microseconds: the median and the best batch."""
    contracts, one, call = Contracts(), version(contract), request(data)
    contracts.replace([one])
    if (contracts.violation(one, call) is not None) is not refused:
        raise RuntimeError("the check does not say what it should")
    batches: list[float] = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        for _ in range(BATCH):
            contracts.violation(one, call)
        batches.append((time.perf_counter() - start) / BATCH * 1e6)
    batches.sort()
    return {"p50_us": batches[len(batches) // 2], "best_us": batches[0]}


def run(seconds: float) -> dict[str, dict[str, float]]:
    """Measure every size with and without a contract."""
    results = {}
    for size in SIZES:
        data = event(size)
        contract = json.dumps(infer([json.loads(data)]))
        results[f"contract, {size} B"] = measure(contract, data, seconds)
        results[f"default limits, {size} B"] = measure("", data, seconds)
    data = event(1024)
    closed = '{"type":"object","properties":{"id":{"type":"integer"}}}'
    results["refused, 1024 B"] = measure(closed, data, seconds, refused=True)
    return results


def main(arguments: list[str]) -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.contracts", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each figure")
    chosen = parser.parse_args(arguments)
    results = run(chosen.seconds)
    if chosen.json:
        sys.stdout.write(json.dumps(results, indent=2) + "\n")
        return 0
    for name, figures in results.items():
        best, middle = figures["best_us"], figures["p50_us"]
        sys.stdout.write(f"{name:28} {middle:7.1f} µs p50 {best:7.1f} µs best\n")
    reached = results["contract, 1024 B"]["p50_us"] <= TARGET_US
    sys.stdout.write(f"target {TARGET_US:g} µs for 1 KB: {'met' if reached else 'missed'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
