"""Numbers and rows of a list are known alike whether they are taken at once or one by one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.guard import known
from casemate.guard.taint import Taint

NUMBERS = st.one_of(st.integers(-9, 300), st.floats(allow_nan=False, width=16))
LISTS = st.lists(st.one_of(NUMBERS, st.none(), st.booleans(), st.just("a;")), max_size=9)


def _known(value: Any) -> Taint:
    taint = Taint(lambda _: False, lambda _: set())
    taint.add("event", value)
    taint.remember()
    return taint


@settings(deadline=None, max_examples=150)
@given(st.lists(st.one_of(NUMBERS, LISTS, st.lists(NUMBERS, max_size=9)), max_size=6))
def test_the_same_is_known(value: list[Any]) -> None:
    value = [each * 80 if isinstance(each, list) else each for each in value] * 3
    at_once = _known({"a": value, "b": tuple(value)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known, "_MANY", 1 << 40)
        one_by_one = _known({"a": value, "b": tuple(value)})
    numbers = list(one_by_one._numbers)
    assert sorted(map(repr, at_once._numbers)) == sorted(map(repr, numbers))
    for number in numbers:
        assert at_once._numbers[number][:2] == one_by_one._numbers[number][:2]


@pytest.mark.parametrize("count", [known.MAX_TEXTS - 1, known.MAX_TEXTS])
def test_too_many_are_more_than_is_looked_at(count: int) -> None:
    assert _known(list(range(count))).overflown == (count >= known.MAX_TEXTS)


HELD = st.one_of(NUMBERS, st.none(), st.booleans(), st.text("ab;'", max_size=2))
ROWS = st.dictionaries(st.sampled_from(("a", "b;", "id", "k")), HELD, max_size=4)


@settings(deadline=None, max_examples=150)
@given(st.lists(ROWS, min_size=1, max_size=6), st.lists(st.text("ab;'", max_size=2), max_size=3))
def test_the_same_is_known_of_rows(rows: list[dict[str, Any]], before: list[str]) -> None:
    value = {"z": [{**row, "n": f"{number}'"} for number, row in enumerate(rows * 30)] * 2, "y": 1}
    value |= {"t": before, "r": rows * 80}
    at_once = _known(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known, "_MANY", 1 << 40)
        one_by_one = _known(value)
    for each in ("_texts", "_keys", "_numbers"):
        assert getattr(at_once, each).keys() == getattr(one_by_one, each).keys()
    assert sorted(at_once._undecoded[0]) == sorted(one_by_one._undecoded[0])
    for each in ("_texts", "_numbers"):
        for known_as, (_, _, holder) in getattr(at_once, each).items():
            assert known_as in (*holder, *(holder.values() if isinstance(holder, dict) else ()))
    for name in at_once._keys:
        assert at_once.key(name) == one_by_one.key(name)


@pytest.mark.parametrize("count", [known.MAX_TEXTS - 2, known.MAX_TEXTS - 1, known.MAX_TEXTS])
def test_too_many_rows_are_more_than_is_looked_at(count: int) -> None:
    taint = _known([{"a": f"{number};"} for number in range(count)])
    assert taint.overflown == (count >= known.MAX_TEXTS - 1)
    assert len(taint._texts) == min(count + 1, known.MAX_TEXTS)


def test_rows_that_lie_too_deep_are_more_than_is_looked_at() -> None:
    value: Any = [{"a": "b"}] * 100
    for _ in range(known.MAX_NESTING):
        value = [value]
    assert _known(value).overflown
    assert not _known(value[0]).overflown
