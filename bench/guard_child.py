"""One process of `bench.guard`: times calls or an import, with the sink guard or without.

Arguments: `on` or `off`, what to measure, folder of the code. Prints one JSON number: seconds.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from typing import Any

_REPEATS, _CALLS = 7, 300


def best(call: Callable[[], object]) -> float:
    """Return seconds of one call, the best of a few repeats: the others met something else."""
    found = []
    gc.disable()
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        for _ in range(_CALLS):
            call()
        found.append((time.perf_counter() - begun) / _CALLS)
    return min(found)


def _invocations(module: Any, name: str, event: str, guard: Any) -> Callable[[], object]:
    handler = getattr(module, name)
    decode = json.loads

    def plain() -> object:
        return handler(decode(event))

    def guarded() -> object:
        decoded = decode(event)
        guard.begin(decoded)
        try:
            return handler(decoded)
        finally:
            guard.end()

    return plain if guard is None else guarded


def _later(module: Any, name: str, event: str, guard: Any) -> Callable[[], object]:
    """Return calls within one invocation, after the first: what the sink itself costs."""
    handler, decoded = getattr(module, name), json.loads(event)
    if guard is not None:
        guard.begin(decoded)
    handler(decoded)
    return lambda: handler(decoded)


def main(mode: str, what: str, folder: str, event: str) -> float:
    """Return seconds."""
    guard = None
    sys.path.insert(0, folder)
    if mode == "on":
        from casemate.guard import setting_up
        from casemate.guard.core import Guard

        setting_up.warm()
        guard = Guard(folder)
        setting_up.before_import(guard)
    kind, _, name = what.partition(":")
    if kind == "import":
        begun = time.perf_counter()
        __import__(name)
        return time.perf_counter() - begun
    module = __import__("bench_handlers")
    if guard is not None:
        setting_up.after_import(guard)
    make = _later if kind == "later" else _invocations
    return best(make(module, name, event, guard))


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:5])))
