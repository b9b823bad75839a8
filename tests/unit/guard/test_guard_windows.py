"""Parts of texts as numbers, and pieces that are read on from them."""

from __future__ import annotations

import sys

from hypothesis import example, given, settings
from hypothesis import strategies as st

from casemate.guard import fragments
from casemate.guard.budget import Budget
from casemate.guard.fragments import _aligned, _by_chance, _run, _with_signs, end_of_escape
from casemate.guard.windows import shared, windows

SIZE = 5
TEXT = st.text(alphabet="ab'; -.\u0127\u0100\0é\"\\()", max_size=60)


@settings(max_examples=500, deadline=None)
@given(TEXT, TEXT)
def test_shared_parts_are_those_that_both_have(text: str, inside: str) -> None:
    both = text + inside[:20] + text
    known = set(windows(inside, SIZE))
    numbers = windows(both, SIZE)
    expected = [(at, n) for at, n in enumerate(numbers) if n in known]
    assert list(shared(both, inside, known)) == expected


@settings(max_examples=300, deadline=None)
@example("-  -..")
@given(TEXT)
def test_parts_with_signs_are_each_told_once(inside: str) -> None:
    parts = range(len(inside) - SIZE + 1)
    around = fragments._AROUND
    assert _with_signs(inside) == [at for at in parts if around.search(inside, at, at + SIZE)]


@settings(max_examples=500, deadline=None)
@given(TEXT, TEXT, TEXT)
def test_a_text_that_is_there_as_a_whole_is_read_as_one_that_is_not(
    before: str, text: str, after: str
) -> None:
    inside = before + text + after
    for place in range(len(text) - SIZE + 1):
        start = len(before) + place
        left, begun, more_left = _run(inside, start - 1, text, place - 1, -1)
        right, ended, more_right = _run(inside, start + SIZE, text, place + SIZE, 1)
        first, last = _by_chance(text, begun, ended)
        left, right = left + 1 + first, right - last
        if left and (inside[left - 1] == "\\" or inside[left - 1 : left + 1] in fragments._PAIRS):
            left -= 1
        if last and text[ended - last - 1] != "\\" and inside[left:right].endswith("\\"):
            right -= 1
        right = end_of_escape(inside, left, right)
        expected = (left, right, more_left + more_right + SIZE)
        assert _aligned(inside, start, text, place, Budget(sys.maxsize)) == expected
