"""Rows of a table by their columns: what all of them have in common is written once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Annotated, Final

import msgspec

from casemate.decoding import decodable

MAX_ROWS: Final = 8192
"""That one table may say it has: what is written once is there as often."""
MAX_VALUES: Final = 1 << 20
"""That a batch may have in all: a recorder that was broken into can make few bytes say many."""
MAX_COMMON: Final = 128
"""Characters of a text that is written once."""

Value = str | int | float | None
Common = Annotated[str, msgspec.Meta(max_length=MAX_COMMON)] | int | float | None


class Columns(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Some rows of a table."""

    rows: Annotated[int, msgspec.Meta(ge=0, le=MAX_ROWS)]
    columns: Annotated[
        tuple[Common | Annotated[list[Value], msgspec.Meta(max_length=MAX_ROWS)], ...],
        msgspec.Meta(max_length=32),
    ]
    """Of each its values, or the one that all rows have."""


def of_rows(rows: Sequence[Sequence[Value]]) -> Columns:
    """Return rows of one length by their columns."""
    return Columns(len(rows), tuple([_column(values) for values in zip(*rows, strict=True)]))


def _column(values: tuple[Value, ...]) -> Value | list[Value]:
    first = values[0]
    # The last one tells most that differ. 1, 1.0 and True are equal, and not the same.
    if (
        values[-1] == first
        and values.count(first) == len(values)
        and not (isinstance(first, str) and len(first) > MAX_COMMON)
        and (not isinstance(first, int | float) or len(set(map(type, values))) == 1)
    ):
        return first
    return list(values)


def to_rows(found: Columns) -> list[tuple[Value, ...]]:
    """Return rows again. Raises ValueError where columns are not of one length."""
    columns: list[Iterable[Value]] = []
    for column in found.columns:
        if not isinstance(column, list):
            columns.append(repeat(column, found.rows))
        elif len(column) != found.rows:
            raise ValueError("a column has other rows than its table")
        else:
            columns.append(column)
    return list(zip(*columns, strict=True))


class Tables(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a section of a batch holds, all of it checked and masked where it was kept first."""

    tables: dict[
        Annotated[str, msgspec.Meta(max_length=16)],
        list[Annotated[tuple[Value, ...], msgspec.Meta(max_length=32)]],
    ]
    """Rows as they are, as they were written before there were columns."""
    columns: dict[Annotated[str, msgspec.Meta(max_length=16)], Columns] = {}


def encode(tables: Mapping[str, Sequence[Sequence[Value]]]) -> bytes:
    """Return the text of a section."""
    columns = {name: of_rows(rows) for name, rows in tables.items() if rows}
    return msgspec.msgpack.encode(Tables({}, columns))


def decode(text: bytes, most: int = MAX_VALUES) -> tuple[dict[str, list[tuple[Value, ...]]], int]:
    """Return the rows of a section by table, and how many values they have, at most so many.

    Raises DECODING_ERRORS, ValueError.
    """
    found = msgspec.msgpack.decode(text, type=decodable(Tables))
    values = sum(each.rows * len(each.columns) for each in found.columns.values())
    if values > most:
        raise ValueError("a batch has more values than one may have")
    columns = {name: to_rows(each) for name, each in found.columns.items()}
    return {**found.tables, **columns}, values
