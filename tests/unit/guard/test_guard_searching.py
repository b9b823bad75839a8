"""A pattern of the code's is judged once; what is searched with it is noted each time."""

from __future__ import annotations

import re
from typing import Any

import pytest

from casemate.guard.identity import identity
from casemate.guard.provenance import Provenance
from casemate.guard.searching import ANY_LENGTH, MAX_KNOWN, MIN_SUBJECT, Harmless

_WORD = re.compile(r"[a-z]+")
_SPELLED = r"[0-9]+"


@pytest.fixture
def told() -> list[Any]:
    return []


@pytest.fixture
def provenance(told: list[Any]) -> Provenance:
    made = Provenance()
    for name in ("match", "search", "sub", "find"):
        made.watchers[name] = lambda arguments, named: told.append(arguments)
    made.begin()
    return made


def test_a_pattern_that_nobody_has_judged_is_told(provenance: Provenance, told: list[Any]) -> None:
    provenance.watched("match", _WORD.match, "abc")
    provenance.watched("match", re.match, _SPELLED, "123")
    provenance.watched("match", re.match, r"[0-9]" + "+", "123")
    assert len(told) == 3


def test_what_is_known_to_be_harmless_is_not_told_again(
    provenance: Provenance, told: list[Any]
) -> None:
    provenance.patterns.add(_WORD, ANY_LENGTH)
    provenance.patterns.add(_SPELLED, MIN_SUBJECT)
    long = "a" * MIN_SUBJECT
    assert provenance.watched("match", _WORD.match, long)
    assert provenance.watched("search", re.search, _SPELLED, "a1")
    assert provenance.watched("sub", re.sub, _SPELLED, "#", "a1") == "a#"
    assert told == []
    assert provenance.watched("search", re.search, _SPELLED, long + "1")
    assert len(told) == 1, "a longer one is looked at"
    equal = "".join(list(_SPELLED))
    assert provenance.watched("search", re.search, equal, "a1")
    assert len(told) == 2, "an equal pattern may be the event's"
    assert provenance.watched("match", _WORD.match, string="a")
    assert provenance.watched("sub", _WORD.sub, lambda found: "x", "a") == "x"
    assert len(told) == 4


def test_what_was_found_is_noted(provenance: Provenance) -> None:
    provenance.patterns.add(_WORD, ANY_LENGTH)
    provenance.patterns.add(_SPELLED, ANY_LENGTH)
    for function, given in ((_WORD.fullmatch, ("abc",)), (re.match, (_SPELLED, "123"))):
        assert provenance.watched("match", function, *given)
        text = given[-1]
        assert provenance.check_of(text) == ("pattern", None)
        (asked,) = provenance.asked_of(text)
        assert asked.ask(text) and not asked.ask("?")
    assert provenance.watched("match", _WORD.match, "?!") is None
    assert provenance.check_of("?!") == ("", None)
    whole = "ab-cd"
    made = provenance.watched("sub", _WORD.sub, "#", whole)
    known = provenance.of(made)
    assert known is not None and whole in known.parts
    assert provenance.check_of(made) == ("", None), "words are replaced: all else is as it was"
    made = provenance.watched("sub", re.compile(r"[^a-z]").sub, "", whole)
    assert provenance.check_of(made) == ("pattern", None)


def test_a_place_in_a_text_is_told_to_nobody(provenance: Provenance, told: list[Any]) -> None:
    class Own:
        def find(self, text: str) -> str:
            return text

    assert provenance.watched("find", "abc".find, "c") == 2
    assert told == []
    assert provenance.watched("find", Own().find, "c") == "c"
    assert len(told) == 1


def test_the_patterns_that_are_held_are_bounded() -> None:
    harmless = Harmless()
    patterns = [f"a{n}" for n in range(MAX_KNOWN + 9)]
    for pattern in patterns:
        harmless.add(pattern, 1)
    assert len(harmless.known) <= MAX_KNOWN
    assert harmless.known[identity(patterns[-1])] == (patterns[-1], 1)


def test_what_may_be_written_by_the_code_is_told_each_time(
    provenance: Provenance, told: list[Any]
) -> None:
    provenance.watchers["findall"] = lambda arguments, named: told.append(arguments)
    provenance.patterns.add(_WORD, ANY_LENGTH)
    assert provenance.watched("findall", _WORD.findall, "a b") == ["a", "b"]
    assert told == []
    for text in ("a\nb", "(uid=a)", "<34>1 a", "temp,tag=a v=1"):
        provenance.watched("findall", _WORD.findall, text)
    assert len(told) == 4
    for pattern in [object() for _ in range(3 * MAX_KNOWN)]:
        assert provenance.patterns.times(pattern) == 1
        assert len(provenance.patterns._times) <= MAX_KNOWN


def test_a_statement_that_is_a_literal_is_told_to_nobody(
    provenance: Provenance, told: list[Any]
) -> None:
    provenance.watchers["execute"] = lambda arguments, named: told.append(arguments)
    statement, texts = "".join(["sel", "ect 1"]), ["".join(["a", "b"])]

    class Own:
        def execute(self, text: str, *given: Any, **named: Any) -> Any:
            return texts

    execute = Own().execute
    assert provenance.watched("execute", execute, statement) is texts
    assert len(told) == 1, "this may have been put together"
    provenance.literals[statement] = statement
    assert provenance.watched("execute", execute, statement) is texts
    assert provenance.watched("execute", execute, statement, (1,)) is texts
    assert len(told) == 1
    assert provenance.made_from(texts) == (statement,)
    provenance.watched("execute", execute, statement, values=(1,))
    provenance.watched("execute", execute, "".join(["sel", "ect 1"]))
    assert len(told) == 3
