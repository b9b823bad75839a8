"""Rows that wait to be told, in memory: all that were committed, in order, or none."""

from __future__ import annotations

import random

import pytest

from casemate.recorder.records import unshipped
from casemate.recorder.records.unshipped import Found, Row, Unshipped

BIG = 1 << 30


def rows(*numbers: int) -> list[Row]:
    return [(float(n), f"i{n}") for n in numbers]


def wanted() -> Unshipped:
    made = Unshipped()
    assert made.after("t", 0, 9, BIG) is None  # now they are kept
    return made


def commit(made: Unshipped, *numbers: int, text: int = 0) -> None:
    made.begin()
    made.add("t", numbers, rows(*numbers), text)
    made.committed()


def test_nothing_is_kept_before_somebody_wants_it() -> None:
    made = Unshipped()
    commit(made, 1)
    assert made.after("t", 0, 9, BIG) is None
    commit(made, 2)
    assert made.after("t", 0, 9, BIG) is None  # the first is not here
    assert made.after("t", 1, 9, BIG) == Found(rows(2), 2, whole=True)


def test_rows_are_given_in_parts_and_forgotten_once_they_are_told() -> None:
    made = wanted()
    commit(made, 1, 2, 3)
    commit(made, 7, 8)  # others' rows were between
    assert made.after("t", 0, 2, BIG) == Found(rows(1, 2), 2, whole=False)
    assert made.after("t", 0, 9, BIG) == Found(rows(1, 2, 3, 7, 8), 8, whole=True)
    assert made.after("t", 2, 2, BIG) == Found(rows(3, 7), 7, whole=False)
    assert made.after("t", 7, 9, BIG) == Found(rows(8), 8, whole=True)
    assert made.after("t", 8, 9, BIG) == Found([], 8, whole=True)
    assert made.after("t", 2, 9, BIG) is None


def test_text_bounds_a_part_and_one_row_is_always_in_it() -> None:
    made = wanted()
    commit(made, 1, 2, 3, text=6)
    assert made.after("t", 0, 9, 1) == Found(rows(1), 1, whole=False)
    assert made.after("t", 0, 9, 3) == Found(rows(1, 2), 2, whole=False)
    assert made.after("t", 0, 1, BIG) == Found(rows(1), 1, whole=False)


def test_what_was_undone_is_not_told_and_after_a_failed_commit_nothing_is() -> None:
    made = wanted()
    made.begin()
    made.add("t", (1,), rows(1), 0)
    mark = made.mark()
    made.add("t", (2,), rows(2), 0)
    made.forget(mark)
    made.add("t", (2,), [(2.0, "another")], 0)
    made.committed()
    assert made.after("t", 0, 9, BIG) == Found([*rows(1), (2.0, "another")], 2, whole=True)
    made.begin()
    made.add("t", (3,), rows(3), 0)
    made.begin()  # the one before was not committed, or nobody knows
    assert made.after("t", 2, 9, BIG) is None
    made.add("t", (4,), rows(4), 0)
    made.committed()
    assert made.after("t", 2, 9, BIG) is None
    assert made.after("t", 3, 9, BIG) == Found(rows(4), 4, whole=True)


def test_memory_is_bounded_in_rows_and_in_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unshipped, "MAX_ROWS", 3)
    monkeypatch.setattr(unshipped, "MAX_CHARACTERS", 100)
    made = wanted()
    for number in range(1, 6):
        commit(made, number)
    assert made.after("t", 1, 9, BIG) is None
    assert made.after("t", 2, 9, BIG) == Found(rows(3, 4, 5), 5, whole=True)
    commit(made, 6, text=101)
    assert made.after("t", 2, 9, BIG) is None
    made.begin()
    made.add("t", (7, 8), rows(7, 8), 0)
    mark = made.mark()
    made.add("t", (9, 10, 11, 12), rows(9, 10, 11, 12), 0)  # more than is kept: even itself
    made.forget(mark)
    made.committed()
    assert made.after("t", 6, 9, BIG) is None  # read again


def test_whatever_happens_what_is_told_is_what_was_committed() -> None:
    """Against a table: groups of changes, undone, failed and told at random."""
    for seed in range(200):
        draw = random.Random(seed)
        made, table, told, number, place = wanted(), [], [], 0, 0
        for _ in range(60):
            made.begin()
            before, last = list(table), number
            for _ in range(draw.randrange(4)):
                mark, kept, at = made.mark(), list(table), number
                number += draw.choice((0, 0, 3))  # rows of other nodes
                new = list(range(number + 1, number + 1 + draw.randrange(1, 5)))
                made.add("t", new, rows(*new), draw.randrange(9))
                table, number = [*table, *new], new[-1]
                if draw.random() < 0.2:
                    made.forget(mark)
                    table, number = kept, at
            if draw.random() < 0.1:
                table, number = before, last  # rolled back
                continue
            made.committed()
            most = draw.randrange(1, 9)
            found = made.after("t", place, most, draw.choice((1, 5, BIG)))
            left = [n for n in table if n > place]
            if found is None:
                told += left[:most]
                place = told[-1] if told else place
                continue
            assert found.rows == rows(*left[: len(found.rows)])
            assert len(found.rows) <= most
            assert found.whole == (len(found.rows) == len(left))
            assert found.rows or not left
            told += left[: len(found.rows)]
            place = found.last
        assert told == table[: len(told)], seed
