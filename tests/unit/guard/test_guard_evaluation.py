"""Python's tokens, names and formats with data in them."""

from __future__ import annotations

import ast
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.guard.evaluation import formats
from casemate.guard.evaluation.judgement import judge, judge_module
from casemate.guard.origin import Origin, Span

ORIGIN = Origin("event", "/e")


def _blocked(head: str, value: str, tail: str, checked: str = "") -> bool:
    span = Span(len(head), len(head) + len(value), ORIGIN, exact=True, checked=checked)
    return judge(head + value + tail, [span]) is not None


@given(value=st.text(max_size=30).filter(bool))
def test_a_value_put_in_by_repr_is_data(value: str) -> None:
    inside = repr(value)[1:-1]
    quote = repr(value)[0]
    if inside:
        assert not _blocked(f"f({quote}", inside, f"{quote})")


@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
@given(value=st.text(" ab'\"\\(){}.#\n0", min_size=1, max_size=20))
def test_what_is_let_through_is_one_literal(value: str) -> None:
    if not _blocked("f('", value, "', 1)"):
        tree = ast.parse(f"f('{value}', 1)", mode="eval")
        call = tree.body
        assert isinstance(call, ast.Call)
        assert [type(a) for a in call.args] == [ast.Constant, ast.Constant]


@given(value=st.integers(min_value=0) | st.floats(min_value=0, allow_infinity=False))
def test_numbers_are_data(value: float) -> None:
    assert not _blocked("1 + ", str(value), "")


@pytest.mark.parametrize(
    ("value", "checked", "blocked"),
    [
        ("secret", "", True),
        ("secret", "member", False),
        ("x + 1", "constant", False),
        ("2 * (3 + 4)", "", True),
        ("2 * (3 + 4)", "pattern", False),
        ("a.b", "pattern", True),
        ("'", "", True),
        ("1 if x else 2", "", True),
        ("#", "", True),
    ],
)
def test_values_in_the_place_of_an_expression(value: str, checked: str, blocked: bool) -> None:
    assert _blocked("y = ", value, "", checked) is blocked


@pytest.mark.parametrize(
    ("head", "value", "tail", "blocked"),
    [
        ("", " 6 ", " * 12", False),
        ("", "6  ", " * 12", False),
        ("2 + ", " 6 ", " * 12", False),
        ("", " secret ", " * 12", True),
        ("", " (6) ", " * 12", True),
        ("", " \n6", " * 12", True),
        # In several lines blanks where one begins decide what belongs to what.
        ("if ready:\n  go()\n", "  0", "\n", True),
        ("if ready:\n", " 1", "\nelse:\n 2", True),
        ("if ready:\n 1\n", "  6", "", True),
    ],
)
def test_blanks_around_a_number(head: str, value: str, tail: str, blocked: bool) -> None:
    assert _blocked(head, value, tail) is blocked


@pytest.mark.parametrize(
    ("head", "value", "checked", "blocked"),
    [
        ("", "os", "", True),
        ("", "os", "word", True),
        ("", "json", "member", False),
        ("plugins.", "csv", "", False),
        ("plugins.", "csv.os", "", True),
        ("plugins.", "__main__", "", True),
        ("plugins.v", "2", "", False),
    ],
)
def test_names_of_modules(head: str, value: str, checked: str, blocked: bool) -> None:
    span = Span(len(head), len(head) + len(value), ORIGIN, exact=True, checked=checked)
    assert (judge_module(head + value, [span]) is not None) is blocked


@given(template=st.text("{}a.[0]!:x>9", max_size=12))
def test_formats_that_pass_reach_nothing_but_what_is_given(template: str) -> None:
    span = Span(0, len(template), ORIGIN, exact=True)
    if template and formats.judge(template, [span], ("value",), {"a": 1, "x": 2}) is None:
        try:
            fields = [f for _, f, _, _ in string.Formatter().parse(template) if f is not None]
        except ValueError:
            return
        assert not any("." in f or "[" in f for f in fields)


@pytest.mark.parametrize(
    ("template", "blocked"),
    [
        ("Hello {name}", False),
        ("Hello {}", False),
        ("Hello", False),
        ("{{name}}", False),
        ("{name.__class__}", True),
        ("{0[a]}", True),
        ("{config}", True),
        ("{name:>999999}", True),
        ("{name:{config.x}}", True),
    ],
)
def test_formats(template: str, blocked: bool) -> None:
    span = Span(0, len(template), ORIGIN, exact=True)
    verdict = formats.judge(template, [span], ("Ada",), {"name": "Ada", "config": {"a": 1}})
    assert (verdict is not None) is blocked
