"""Texts that the code cuts at a sign which it has put between their parts."""

from __future__ import annotations

import pytest

from casemate.guard.core import Guard
from casemate.guard.origin import Origin, Span
from casemate.guard.written.apart import Cut, Signs, _class_of, judge_cut

ORIGIN = Origin("event", ("v",))


@pytest.mark.parametrize(
    ("cut", "before", "value", "after", "more"),
    [
        (Cut("|"), "a|", "x|y", "|b", True),
        (Cut("|"), "a|", "xy", "|b", False),
        (Cut(":", 1), "key:", "a:b", "", False),
        (Cut(":", 1), "", "a:b", ":key", True),
        (Cut(":", 1, backwards=True), "key:", "a:b", "", True),
        (Cut(":", 1, backwards=True), "", "a:b", ":key", False),
        (Cut(":"), "", "10:30", ":00", False),
        (Cut(";", part=0), "text/html;", "a;b", "", False),
        (Cut(";", part=0), "", "a;b", ";q", True),
        (Cut("|", part=-1), "a|", "b|c", "", True),
        (Cut("|", part=-1), "", "b|c", "|d", False),
        (Cut("="), "token=", "YWI==", "", False),
        (Cut(","), "", "a,b", "", False),
        (Cut("||"), "a||", "x||y", "", True),
    ],
)
def test_data_moves_no_cut(cut: Cut, before: str, value: str, after: str, more: bool) -> None:
    span = Span(len(before), len(before + value), ORIGIN, exact=True)
    assert (judge_cut(cut, before + value + after, [span]) is not None) is more


def test_places_are_where_the_interpreter_cuts() -> None:
    text = "a|b||c|"
    for most in (-1, 0, 1, 2, 9):
        for backwards, method in ((False, text.split), (True, text.rsplit)):
            places = sorted(Cut("|", most, backwards).places(text))
            ends = [*places, len(text)]
            begins = [0, *(place + 1 for place in places)]
            assert [text[a:b] for a, b in zip(begins, ends, strict=True)] == method("|", most)


def test_signs_are_those_that_the_code_puts_between_its_values() -> None:
    guard = Guard()
    guard.constants.take("name=%s|role=%s")
    guard.constants.between.add("~")
    signs = Signs(guard)
    assert [sign for sign in "|~=;^ /.a" if signs[sign]] == ["|", "~", "="]
    assert not signs["://"]
    for number in range(1000):
        assert not signs[f"#{number}"]
    assert len(signs) < 100
    assert not Signs()["|"]


@pytest.mark.parametrize(
    ("pattern", "signs"),
    [
        (";", ";"),
        (r"[;\n]", ";\n"),
        (r"\s*[;\n]+\s*", ";\n"),
        (r"[^;]", ""),
        (r"(;)", ""),
        (r"\s*;\s*", ""),
        (r"[;&|]", ";&|"),
    ],
)
def test_the_signs_of_a_pattern_that_divides(pattern: str, signs: str) -> None:
    assert _class_of(pattern) == signs
