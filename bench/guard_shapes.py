"""What the shape of a statement costs that a handler puts together, beside the check of it.

    python -m bench.guard_shapes

In turns, in one process: the check of the sink guard as it is, and the same without shapes. A
literal of the code has no shape.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

from casemate.guard.core import Guard
from casemate.guard.shapes import id_of, shape_of
from casemate.guard.sql import statements
from casemate.guard.sql.shape import shape
from casemate.guard.sql.tokens import Dialect

ROUNDS, CALLS = 15, 2000
LITERAL = "SELECT id, name FROM orders WHERE id = ? AND state = ? ORDER BY id"
SQLITE = (Dialect.SQLITE,)


def built(number: int) -> str:
    """Return a statement of ten columns and three values, as an f-string makes it."""
    return (
        f"SELECT id, name, state, a, b, c, d, e, f, g FROM orders WHERE id = {number} "
        f"AND state = 'open' AND total > {number * 2} ORDER BY id LIMIT 10"
    )


def prepared() -> Guard:
    """Return a guard within an invocation, which knows the shape of what is built."""
    guard = Guard()
    guard.constants.add_code(compile(f"x = {LITERAL!r}", "app.py", "exec"))
    guard.shapes.use([id_of(shape_of("sql", shape(built(1), Dialect.SQLITE)))], strict=True)
    guard.begin({"id": 41, "name": "an order", "note": "x" * 200})
    return guard


def microseconds(call: Callable[[int], None]) -> float:
    """Return the processor time of one call."""
    started = time.process_time()
    for number in range(CALLS):
        call(number)
    return (time.process_time() - started) / CALLS * 1e6


def main() -> None:
    """Print microseconds of processor time a statement, medians of rounds in turns."""
    guard = prepared()
    meet = statements._meet

    def check(statement: Callable[[int], str]) -> Callable[[int], None]:
        return lambda number: statements.check_statement(guard, statement(number), SQLITE)

    kinds = {"literal": check(lambda _: LITERAL), "put together": check(built)}
    found: dict[str, list[float]] = {
        f"{kind}{way}": [] for kind in kinds for way in ("", ", without")
    }
    for _ in range(ROUNDS):
        for kind, call in kinds.items():
            found[kind].append(microseconds(call))
            statements._meet = lambda *_: None
            found[f"{kind}, without"].append(microseconds(call))
            statements._meet = meet
    print(json.dumps({name: round(statistics.median(each), 2) for name, each in found.items()}))


if __name__ == "__main__":
    main()
