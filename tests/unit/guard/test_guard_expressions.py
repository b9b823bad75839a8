"""Expressions for simpleeval and its like: formulas pass, what ends a literal does not."""

import pytest

from casemate.guard.evaluation.expressions import judge
from casemate.guard.origin import Origin, Span

_ORIGIN = Origin("event", "/v")


def _judged(before: str, value: str, after: str) -> bool:
    span = Span(len(before), len(before) + len(value), _ORIGIN, exact=True)
    return judge(before + value + after, [span]) is not None


@pytest.mark.parametrize(
    "value", ["SPRING", "SPRING-2026 (old)", "100 if True else 0", "ночь", 'say "x"', "a;b", "#1"]
)
def test_what_stays_in_a_literal_passes(value: str) -> None:
    assert not _judged("10 if code == '", value, "' else 0")


@pytest.mark.parametrize(
    "value",
    [
        *("' or code=='SPRING", "' else admin_rate if '1'=='1", "' or 1 or '", "'+code+'", "'"),
        *("\\", "a\nb", "' #", "', 'b"),
    ],
)
def test_what_ends_a_literal_is_stopped(value: str) -> None:
    assert _judged("10 if code == '", value, "' else 0")


@pytest.mark.parametrize("value", ["3", "-1.5", "price * 2", "max(a, b)"])
def test_a_formula_in_its_own_place_passes(value: str) -> None:
    assert not _judged("(", value, ") * 2")


@pytest.mark.parametrize("value", ["1) or (1", "1) + secret + (1", "1)", "1 #", "'"])
def test_what_leaves_its_place_is_stopped(value: str) -> None:
    assert _judged("(", value, ") * 2")
