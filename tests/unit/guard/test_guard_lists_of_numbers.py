"""Numbers of a list are known alike whether they are taken at once or one by one."""

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
