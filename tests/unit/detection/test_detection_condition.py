"""Conditions mean what Python's own `and`, `or` and `not` mean, whatever is put together."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.detection import condition as conditions
from casemate.detection.errors import RuleError
from casemate.detection.reading import compiled

NAMES = ("one", "two", "three", "sel_a", "sel_b", "_hidden")


def holds(text: str, true: set[str]) -> bool:
    parsed = conditions.parse(text, NAMES, "here")
    checks = {name: (lambda _event, name=name: name in true) for name in NAMES}
    return compiled(parsed, checks)({})


def texts() -> st.SearchStrategy[tuple[str, str]]:
    """A condition, and the same as an expression of Python."""
    names = st.sampled_from(NAMES).map(lambda name: (name, f"({name!r} in true)"))
    return st.recursive(
        names,
        lambda inner: st.one_of(
            inner.map(lambda one: (f"not ({one[0]})", f"(not {one[1]})")),
            inner.map(lambda one: (f"( {one[0]} )", f"({one[1]})")),
            st.tuples(inner, st.sampled_from(("and", "or")), inner).map(
                lambda each: (
                    f"({each[0][0]}) {each[1]} ({each[2][0]})",
                    f"({each[0][1]} {each[1]} {each[2][1]})",
                )
            ),
        ),
        max_leaves=10,
    )


@given(texts(), st.sets(st.sampled_from(NAMES)))
def test_a_condition_is_what_python_says(both: tuple[str, str], true: set[str]) -> None:
    assert holds(both[0], true) == eval(both[1], {"true": true})


@pytest.mark.parametrize("true", [set(each) for n in range(4) for each in
                                  itertools.combinations(("one", "two", "three"), n)])  # fmt: skip
def test_not_binds_more_than_and_and_that_more_than_or(true: set[str]) -> None:
    found = holds("one or two and not three", true)
    assert found == ("one" in true or ("two" in true and "three" not in true))
    assert holds("not not one", true) == ("one" in true)


@pytest.mark.parametrize(
    ("text", "true", "expected"),
    [
        ("1 of sel_*", {"sel_b"}, True),
        ("1 of sel_*", {"one"}, False),
        ("any of sel_*", {"sel_a"}, True),
        ("all of sel_*", {"sel_a"}, False),
        ("all of sel_*", {"sel_a", "sel_b"}, True),
        ("1 of *_a", {"sel_a"}, True),
        ("1 of them", {"_hidden"}, False),
        ("1 of them", {"two"}, True),
        ("all of them", set(NAMES) - {"_hidden"}, True),
        ("1 of one", {"one"}, True),
        ("not 1 of sel_* and one", {"one"}, True),
    ],
)
def test_some_or_all_of_several(text: str, true: set[str], expected: bool) -> None:
    assert holds(text, true) is expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "too early"),
        ("one and", "too early"),
        ("(one", "too early"),
        ("(one two)", "missing"),
        ("one two", "expected"),
        ("one AND two", "expected"),
        ("four", "no selection"),
        ("not", "too early"),
        ("one)", "expected"),
        ("2 of them", "not matched here"),
        ("1 of x*", "is called like"),
        ("1 of s*l*", "more than one"),
        ("1 of $(id)", "no pattern"),
        ("one | count() > 5", "correlation"),
        ("(" * 30 + "one" + ")" * 30, "nested"),
        ("one or " * 300 + "one", "characters"),
    ],
)
def test_what_is_no_condition_is_refused_by_name(text: str, told: str) -> None:
    with pytest.raises(RuleError, match=told):
        conditions.parse(text, NAMES, "own.yml:3")


@given(st.text(alphabet="onetw _*()|andr12", max_size=60))
def test_any_text_is_a_condition_or_a_named_error(text: str) -> None:
    try:
        conditions.parse(text, NAMES, "here")
    except RuleError as error:
        assert error.message.startswith("here")
