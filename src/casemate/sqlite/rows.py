"""Many rows by few statements: each of them gives the interpreter's lock away and waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from casemate.sqlite.engine import Connection

_AT_ONCE = 64
"""Rows of one statement."""


def insert_rows(
    connection: Connection, into: str, rows: Sequence[tuple[object, ...]], then: str = ""
) -> list[int]:
    """Insert rows of one length, in their order; return their row numbers.

    `into` is all of the statement up to `VALUES`, `then` what follows these. The numbers are right
    where new ones are higher than all others, as those of `INTEGER PRIMARY KEY AUTOINCREMENT` are.
    """
    numbers: list[int] = []
    while len(numbers) < len(rows):
        left = len(rows) - len(numbers)
        # Few different sizes, so that the statements for them are prepared once.
        size = min(_AT_ONCE, 1 << (left.bit_length() - 1))
        part = rows[len(numbers) : len(numbers) + size]
        values = f"({', '.join('?' * len(part[0]))})"
        cursor = connection.execute(
            f"{into} VALUES {', '.join([values] * size)} {then}",
            tuple(chain.from_iterable(part)),
        )
        last = int(cursor.lastrowid or 0)
        # No other row comes between those of one statement.
        numbers += range(last - size + 1, last + 1)
    return numbers
