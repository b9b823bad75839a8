"""Formulas that code evaluates without built-in functions: mathematics passes, and no more."""

from __future__ import annotations

import ast

import pytest

from casemate.guard.evaluated import form_of_eval
from casemate.guard.evaluation.formulas import is_formula
from casemate.guard.names import EVAL_ALONE
from casemate.guard.origin import Origin, Span


def _is(text: str) -> bool:
    return is_formula(text, [Span(0, len(text), Origin("event", "/f"), exact=True)])


@pytest.mark.parametrize(
    "text",
    [
        *("price * quantity", "round(price * 1.19, 2)", " -a + 3 % b // 2", "a if n > 2 else b"),
        *("max(price, 10) >= 5 and not sold", "1 < a <= 3 or b == 2", "sqrt(a*a + b*b)", "1e3"),
        *("a ** 2", "a in (1, 2)", "first + level"),
    ],
)
def test_mathematics_passes(text: str) -> None:
    assert _is(text)


@pytest.mark.parametrize(
    "text",
    [
        *("a.b", "().__class__", "a[0]", "'a' * 9", "f'{a}'", "[x for x in a]", "lambda: 1", "_a"),
        *("__import__('os')", "open(a)", "round.__self__", "9**9**9", "a ** b", "max(*a)"),
        *("round(a, ndigits=1)", "(b := 1)", "[a] * 9", "{1: 2}", "password", "a << 99", "~a"),
        "a;b",
        *("max(a)(b)", "1 +", "", "x\ny", "await a", "a ** 99", "1j", "None", "(" * 300 + "1"),
        "+".join(["1"] * 400),
    ],
)
def test_what_is_more_does_not(text: str) -> None:
    assert not _is(text)


@pytest.mark.parametrize(
    ("code", "alone"),
    [
        ("eval(t, {'__builtins__': {}}, names)", True),
        ("eval(t, {'__builtins__': None, 'a': 1})", True),
        ("eval(t, {'a': 1, '__builtins__': {}})", True),
        ("eval(t)", False),
        ("eval(t, {})", False),
        ("eval(t, scope)", False),
        ("eval(t, {'__builtins__': {'open': open}})", False),
        ("eval(t, {**scope, '__builtins__': {}})", False),
        ("eval(t, {'a': 1}, {'__builtins__': {}})", False),
        ("eval(t, {'__builtins__': {}}, *more)", True),
    ],
)
def test_calls_that_give_no_built_in_functions(code: str, *, alone: bool) -> None:
    call = ast.parse(code, mode="eval").body
    assert isinstance(call, ast.Call)
    assert (form_of_eval(call) == EVAL_ALONE) is alone
