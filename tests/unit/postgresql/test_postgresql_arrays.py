"""Arrays arrive as what they were made of, and what cannot be in one is refused as alone."""

from __future__ import annotations

from typing import Any

import pytest

from casemate.postgresql.arrays import (
    Array,
    Constant,
    Contents,
    Doubles,
    Numbers,
    Texts,
    columns,
)
from casemate.postgresql.connection import Connection
from casemate.sqlite import engine

CASES: tuple[tuple[type[Array], list[Any]], ...] = (
    (Numbers, [0, 1, -1, 2**63 - 1, -(2**63), None, True]),
    (Doubles, [0.0, -0.0, 1.5, 1, None, float("inf"), 5e-324]),
    (Texts, ["", "a", "NULL", '"{}\\,', "é😀", None, "x" * 70_000]),
    (Contents, [b"", b"\0\xff", None, b"NULL", bytes(range(256)) * 300]),
)


@pytest.mark.parametrize(("kind", "values"), CASES)
def test_what_goes_in_comes_out(
    connection: Connection, kind: type[Array], values: list[Any]
) -> None:
    for some in ([], values[:1], values[:1] * 3, values, [None], [None] * 3):
        found = connection.execute("SELECT v FROM unnest(?) AS made (v)", (kind(some),))
        assert [row[0] for row in found] == some


def test_rows_become_columns(connection: Connection) -> None:
    rows = [(1, "a", b"x", None), (2, "b", b"y", 2.5)]
    kinds = (Numbers, Texts, Contents, Doubles)
    found = connection.execute("SELECT * FROM unnest(?, ?, ?, ?)", columns(rows, kinds))
    assert found.fetchall() == rows
    with pytest.raises(ValueError, match="zip"):
        columns([(1, "a"), (2,)], (Numbers, Texts))


def test_what_no_column_takes_is_refused(connection: Connection) -> None:
    for number in (2**63, -(2**63) - 1):
        with pytest.raises(OverflowError):
            Numbers([number])
    with pytest.raises(UnicodeEncodeError):
        Texts(["\ud800"])
    with pytest.raises(engine.DataError):  # refused by the server, and it says no value
        connection.execute("SELECT v FROM unnest(?) AS made (v)", (Texts(["secret\0"]),))


def test_no_text_of_a_value_becomes_a_statement(connection: Connection) -> None:
    hostile = ["'); DROP TABLE t; --", "$1", "{1,2}", "NULL"]
    found = connection.execute("SELECT v FROM unnest(?) AS made (v)", (Texts(hostile),))
    assert [row[0] for row in found] == hostile
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


TYPES = {Numbers: "INTEGER", Doubles: "REAL", Texts: "TEXT", Contents: "BLOB"}


@pytest.mark.parametrize(("kind", "values"), CASES)
def test_what_all_rows_have_arrives_as_one(
    connection: Connection, kind: type[Array], values: list[Any]
) -> None:
    for value in values:
        given = kind.of((value, value))
        assert given is None if value is None else isinstance(given, Constant)
        (found,) = connection.execute(f"SELECT CAST(? AS {TYPES[kind]})", (given,)).fetchone() or ()
        assert found == value
        if kind is Doubles and value is not None:
            assert repr(found) == repr(float(value))  # zero with its sign


def test_what_differs_is_no_constant() -> None:
    for kind, values in (
        (Doubles, (0.0, -0.0)),
        (Doubles, (float("nan"), 1.0)),
        (Numbers, (0, None)),
        (Texts, ("", None)),
        (Contents, (b"a", b"b", b"a")),
    ):
        assert isinstance(kind.of(values), Array)
    with pytest.raises(OverflowError):
        Numbers.of((2**63, 2**63))
    with pytest.raises(UnicodeEncodeError):
        Texts.of(["\ud800"])
