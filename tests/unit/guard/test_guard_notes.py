"""Which words a pattern spells out: what it finds of these was foreseen by the code."""

from __future__ import annotations

import re

import pytest

from casemate.guard.notes import words_of


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"\b(name|email)\b", {"name", "email"}),
        (r"(?P<column>\w+) (?:ASC|desc)", {"asc", "desc"}),
        (r"(?P<a_b>x)(?P=a_b)", set()),
        (r"[a-z_]{1,30}", set()),
        (r"[^\]abc]id", {"id"}),
        (r"\w+\.\d", set()),
    ],
)
def test_words_that_a_pattern_spells_out(pattern: str, words: set[str]) -> None:
    compiled = re.compile(pattern)
    assert words_of(compiled.findall, ("text",)) == words
    assert words_of(re.findall, (pattern, "text")) == words
    assert words_of(re.findall, (compiled, "text")) == words


def test_a_match_has_the_words_of_its_pattern() -> None:
    match = re.search("(name|pw)", "by name")
    assert match is not None
    assert words_of(match.group, (1,)) == {"name", "pw"}


def test_what_is_no_pattern_of_text_spells_out_nothing() -> None:
    assert words_of(re.compile(b"(name|pw)").findall, (b"name",)) == frozenset()
    assert words_of(lambda: None, ()) == frozenset()
