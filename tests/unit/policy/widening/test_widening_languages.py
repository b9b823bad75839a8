"""The texts that stand for all names: of each kind that forms tell apart, there is one."""

from __future__ import annotations

import itertools
import re

import pytest

from casemate.policy.identifiers import ENTITY_IDS, NAME, RESOURCE_NAMES
from casemate.policy.widening import languages
from casemate.policy.widening.languages import TooManyFormsError, automaton, examples, matches
from casemate.policy.widening.shapes import shapes


def like(form: str) -> tuple[str | None, ...]:
    return tuple(None if part == "*" else part for part in re.findall(r"\*|[^*]+", form))


@pytest.mark.parametrize(
    ("form", "text", "fits"),
    [
        ("*", "", True),
        ("a*", "a", True),
        ("a*", "ba", False),
        ("*a", "aba", True),
        ("*a*b*", "xbxa", False),
        ("*a*b*", "xaxb", True),
        ("ab", "ab", True),
        ("ab", "abc", False),
        ("a**b", "ab", True),
    ],
)
def test_forms_fit_as_cedar_has_it(form: str, text: str, fits: bool) -> None:
    assert matches(like(form), text) is fits


PATTERNS = {pattern.pattern for shape in shapes() for pattern in shape.names.values()}


@pytest.mark.parametrize("pattern", sorted(PATTERNS))
def test_every_identifier_is_accepted(pattern: str) -> None:
    found = automaton(pattern)
    whole, accepted = re.compile(pattern), 0
    signs = "a0-_.:[]*B/"
    for length in range(1, 5):
        for chars in itertools.product(signs, repeat=length):
            text = "".join(chars) + (":443" if ":[1-9]" in pattern else "")
            states = found.start
            for char in text:
                states = found.step(states, char)
            if whole.fullmatch(text):
                accepted += 1
                assert found.accepts(states), text
    assert accepted > 3


def test_there_is_one_of_each_kind_and_all_are_names() -> None:
    forms = tuple(map(like, ("a*", "*b", "*-*", "ab")))
    found = examples(NAME, forms, 1)
    kinds = {tuple(matches(form, text) for form in forms) for text in found}
    assert len(kinds) == len(found)
    assert all(NAME.fullmatch(text) for text in found)
    some = ("".join(c) for n in range(1, 6) for c in itertools.product("abx-", repeat=n))
    names = (text for text in some if NAME.fullmatch(text))
    assert {tuple(matches(form, text) for form in forms) for text in names} == kinds


def test_there_are_as_many_as_are_asked_for_where_there_are() -> None:
    found = examples(NAME, (like("a*"), like("ab")), 3)
    of = [tuple(matches(like(form), text) for form in ("a*", "ab")) for text in found]
    assert of.count((False, False)) == of.count((True, False)) == 3
    assert of.count((True, True)) == 1


def test_a_form_that_no_name_is_long_enough_for_is_not_decided() -> None:
    with pytest.raises(TooManyFormsError, match="long enough"):
        examples(NAME, (like("a" * 70 + "*"),), 1)


def test_forms_that_are_too_many_are_not_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "MAX_STEPS", 1000)
    with pytest.raises(TooManyFormsError, match="too many"):
        examples(NAME, tuple(like(f"*{a}*{b}*") for a, b in ("ab", "cd", "ef", "gh")), 1)


@pytest.mark.parametrize(
    "pattern", ["a+", "a*", "^a", "(a)", "a|(?:b", "[^/]", r"\d", "[\\w]", "[]"]
)
def test_an_expression_that_is_not_known_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError):
        automaton(pattern)


def test_all_names_are_known() -> None:
    assert {pattern.pattern for pattern in RESOURCE_NAMES.values()} <= PATTERNS
    assert len(ENTITY_IDS) > 10
