"""Measure how long one event of hostile JSON takes the gateway, in each stage, at once.

    python -m bench.hostile_json [--mib N] [--json]

Processor time of this thread, the less of two tries. `refused` is the stage that lets it through no
further; later ones are not reached.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable

from bench.contracts import request, version
from casemate.admission import inspection
from casemate.admission.contract import Contracts
from casemate.invocation.parse import parse
from casemate.model.path import RefusedError

_CONTRACT = json.dumps({"items": {"type": ["number", "array", "object", "string"]}})
_CHANCE = random.Random(1)  # nosec B311 - the same digits in each run


def _digits(count: int) -> bytes:
    return bytes(_CHANCE.choices(b"123456789", k=count))


def _array(piece: bytes, size: int) -> bytes:
    return b"[" + b",".join([piece] * (size // (len(piece) + 1))) + b"]"


def _shapes(size: int) -> dict[str, bytes]:
    """Return events of about this size that are slow to look at."""
    keys = b",".join(b'"%x":1' % number for number in range(size // 12))
    nested = json.dumps(json.dumps(["\x00"] * (size // 12))).encode()
    return {
        "ordinary": _array(b'{"sku":"ABC-1","quantity":3,"price":19.99}', size),
        "whole numbers, 4,200 digits": _array(_digits(4200), size),
        "whole numbers, 1,300 digits": _array(_digits(1300), size),
        "whole numbers, 30 digits": _array(_digits(30), size),
        "fractions, 760 digits": _array(b"0." + _digits(760), size),
        "exponents": _array(b"1.2345678901234567e-99", size),
        "arrays, 60 levels": _array(b"[" * 60 + b"]" * 60, size),
        "small objects": _array(b"{}", size),
        "equal keys": b'{"k":1' + b',"k":1' * (size // 6) + b"}",
        "own keys": b"{" + keys + b"}",
        "escapes": b'"' + b"\\n" * (size // 2) + b'"',
        "surrogates": b'"' + b"\\ud83d\\ude00" * (size // 12) + b'"',
        "texts of JSON": _array(b'"{\\"\\\\u0000\\":1}"', size),
        "a text of JSON": nested,
    }


def _took(work: Callable[[], object]) -> tuple[float, bool]:
    """Return the milliseconds that work took, and whether it lets the event through."""
    best, passes = float("inf"), True
    for _ in range(2):
        before = time.thread_time()
        try:
            passes = work() is None
        except RefusedError:
            passes = False
        best = min(best, time.thread_time() - before)
    return best * 1000, passes


def measured(data: bytes, contracts: Contracts) -> dict[str, object]:
    """Return the milliseconds of each stage that an event comes to."""
    asked, bound = request(data), version(_CONTRACT)
    stages: dict[str, Callable[[], object]] = {
        "parse": lambda: parse(asked.raw) and None,
        "contract": lambda: contracts.violation(bound, asked),
        "inspect": lambda: inspection.inspect(data, _CONTRACT.encode()),
    }
    found: dict[str, object] = {}
    for name, work in stages.items():
        milliseconds, passes = _took(work)
        found[name] = round(milliseconds, 1)
        if not passes:
            found["refused"] = name
            break
    found["together"] = round(sum(ms for ms in found.values() if isinstance(ms, float)), 1)
    return found


def main() -> int:
    """Print how long each kind of event takes."""
    parser = argparse.ArgumentParser(prog="bench.hostile_json", description=__doc__)
    parser.add_argument("--mib", type=float, default=1.0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    contracts = Contracts()
    contracts.replace([version(_CONTRACT)])
    found = {
        name: measured(data, contracts)
        for name, data in _shapes(int(given.mib * (1 << 20))).items()
    }
    if given.json:
        print(json.dumps(found, indent=2))
        return 0
    for name, stages in found.items():
        print(f"{name:30}" + "  ".join(f"{stage} {value}" for stage, value in stages.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
