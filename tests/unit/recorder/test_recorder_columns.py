"""Rows by their columns: the same rows again, and no more of them than one batch may have."""

from __future__ import annotations

import msgspec
import pytest

from casemate.recorder.records import columns
from casemate.recorder.records.columns import MAX_COMMON, MAX_ROWS, MAX_VALUES, Columns, Tables


def again(rows: list[tuple[columns.Value, ...]]) -> list[tuple[columns.Value, ...]]:
    found, values = columns.decode(columns.encode({"t": rows}))
    assert values == len(rows) * len(rows[0])
    return found["t"]


def test_rows_are_the_same_again() -> None:
    rows: list[tuple[columns.Value, ...]] = [
        ("a", 1, 1.5, None, "same", None, 1, 0.0, 1),
        ("b", 2, 2.5, None, "same", "x", 1, 0, 1),
        ("c", 1, 1.5, None, "same", None, 1.0, 0.0, 1),
    ]
    found = again(rows)
    assert found == rows
    assert [[type(value) for value in row] for row in found] == [
        [type(value) for value in row] for row in rows
    ]
    assert again([("one", 1)]) == [("one", 1)]
    assert columns.decode(columns.encode({"t": []})) == ({}, 0)


def test_what_all_rows_have_is_written_once_unless_it_is_long() -> None:
    short, long = "s" * MAX_COMMON, "l" * (MAX_COMMON + 1)
    encoded = columns.encode({"t": [(short, long, n) for n in range(10)]})
    assert encoded.count(short.encode()) == 1
    assert encoded.count(long.encode()) == 10
    assert len(columns.decode(encoded)[0]["t"]) == 10


def test_rows_as_they_were_written_before_are_read() -> None:
    before = msgspec.msgpack.encode([{"t": [("a", 1), ("b", 2)]}])
    assert columns.decode(before) == ({"t": [("a", 1), ("b", 2)]}, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        Columns(MAX_ROWS + 1, ("x",)),
        Columns(2, ([1], [1, 2])),
        Columns(3, ([1, 2], 7)),
        Columns(1, ("x" * (MAX_COMMON + 1),)),
        Columns(1, tuple(range(33))),
    ],
)
def test_what_is_no_table_is_refused(wrong: Columns) -> None:
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        columns.decode(msgspec.msgpack.encode(Tables({}, {"t": wrong})))


def test_few_bytes_do_not_say_more_than_a_batch_may_have() -> None:
    full = Columns(MAX_ROWS, tuple(range(32)))
    tables = {f"t{n}": full for n in range(4)}
    bomb = msgspec.msgpack.encode(Tables({}, tables))
    assert len(bomb) < 1024
    assert columns.decode(bomb)[1] == MAX_VALUES
    with pytest.raises(ValueError, match="more values"):
        columns.decode(bomb, MAX_VALUES - 1)
