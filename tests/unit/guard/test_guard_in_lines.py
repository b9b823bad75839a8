"""What loops over lines note takes few steps, and room for the last of them alone."""

from __future__ import annotations

import re
import sys
from functools import partial
from types import FrameType
from typing import Any

import pytest

from casemate.guard.generations import MAX_NOTED, MAX_OBJECTS
from casemate.guard.names import READS_LEVELS, READS_PARAMETERS
from casemate.guard.notes import DERIVED, Made
from casemate.guard.provenance import Provenance
from casemate.guard.quick import MAX_WAITING
from casemate.guard.searching import ANY_LENGTH, MAX_ANSWERS

LINE = re.compile(r"(\d+),(.*?),(x)?")
FIELDS = re.compile(r"(\d+),(\w*),(\w*)")
SPELLS = re.compile(r"(name|mail)=(.*)")


@pytest.fixture
def provenance() -> Provenance:
    made = Provenance()
    made.patterns.add(LINE, ANY_LENGTH)
    made.begin()
    return made


def test_the_last_lists_of_a_loop_are_known_and_the_first_forgotten(
    provenance: Provenance,
) -> None:
    lines = [f"{n},Ada Lovelace,London" for n in range(MAX_WAITING)]
    split = [provenance.split(line, ",") for line in lines]
    assert len(provenance._waiting) <= MAX_WAITING
    assert sum(len(note[3]) for note in provenance._waiting) <= MAX_WAITING
    assert provenance.made_from(split[-1]) == (lines[-1], ",")
    known = [provenance.of(parts[1]) is not None for parts in split]
    assert known[-1] and not known[0]
    assert sum(known) * 3 >= MAX_NOTED, "as many as one generation has"
    assert known == sorted(known)


def test_the_parts_of_a_cut_text_are_known_however_long_it_is(provenance: Provenance) -> None:
    for size in (1, 20, 400):
        text = "name" * size + "=" + "value" * size + "=" + "more" * size
        for cut, method in (
            (provenance.partition, text.partition),
            (provenance.rpartition, text.rpartition),
        ):
            found = cut(text, "=")
            assert found == method("=")
            for part in (found[0], found[2]):
                made = provenance.of(part)
                assert made is not None and made.kind == DERIVED
                assert made.parts == (text, "=")
    plain = "-".join(("no", "sign"))
    assert provenance.partition(plain, "=") == (plain, "", "")
    assert provenance.of(plain) is None
    assert provenance.partition(b"a=b", b"=") == (b"a", b"=", b"b")
    with pytest.raises(ValueError, match="empty separator"):
        provenance.partition(plain, "")


def test_a_text_without_the_sign_is_not_announced(provenance: Provenance) -> None:
    told: list[object] = []
    provenance.watchers[READS_LEVELS] = lambda arguments, named: told.append(arguments[0])
    provenance.watchers[READS_PARAMETERS] = provenance.watchers[READS_LEVELS]
    assert provenance.parameters("a=1&b=2") == "a=1&b=2", "the code has written no parameter"
    provenance.forms.append("&b=")
    for text in ("a/b", "", None, 3, ["a+"]):
        assert provenance.levels(text) is text
        assert provenance.parameters(text) is text
    assert not told
    for text in ("a/+", "#", "a.*", "a.>"):
        assert provenance.levels(text) is text
    assert provenance.parameters("a=1&b=2") == "a=1&b=2"
    assert told == ["a/+", "#", "a.*", "a.>", "a=1&b=2"]
    written, same = "a/#", "/".join(("a", "#"))
    provenance.literals[written] = written
    assert provenance.levels(written) is written
    assert provenance.levels(same) is same
    assert told[-1] is same and len(told) == 6


def _steps(run: Any) -> int:
    """Count the functions of Python that are begun: they take the time, on any machine."""
    count = 0

    def counted(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(counted)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count


def test_a_loop_over_lines_takes_a_step_for_each_call(provenance: Provenance) -> None:
    """What is not asked for is not sorted in: that took most of the time of such a loop."""
    lines = [f"{n},b;c {n},x" for n in range(3 * MAX_WAITING)]

    def loop() -> None:
        for line in lines:
            provenance.split(line, ",")
            provenance.words(line)
            match = provenance.matched_by("match", LINE.match, line)
            provenance.groups(match)
            provenance.group(match, 2)
            provenance.affirmed(line, "endswith", "x")

    # Some of them to forget lists, and to know answers.
    assert _steps(loop) < 8.1 * len(lines)


def test_lists_are_known_in_the_order_in_which_they_came(provenance: Provenance) -> None:
    line = "".join(["a,", "b"])
    parts = provenance.split(line, ",")
    other = "".join(["c", "d"])

    def same(text: str) -> Any:
        return parts

    assert provenance.call(same, other) is parts
    assert provenance.made_from(parts) == (other,)
    for number in range(3 * MAX_OBJECTS):
        last = provenance.split(f"{number},b", ",")
    assert provenance.made_from(parts) is None
    assert provenance.made_from(last) == (f"{number},b", ",")


def test_what_a_match_found_is_known(provenance: Provenance) -> None:
    line = "".join(["12,", "x' OR 1,", "y"])
    match = LINE.match(line)
    groups = provenance.groups(match)
    assert groups == ("12", "x' OR 1", None)
    assert provenance.made_from(groups) == (line,)
    one = provenance.group(match, 2)
    for found in (groups[1], one):
        assert provenance.of(found) == Made(found, DERIVED, (line,))
    assert provenance.group(match, 3) is None
    with pytest.raises(IndexError):
        provenance.group(match, 4)
    data = re.match(b"(a)(b)", b"ab")
    assert provenance.groups(data) == (b"a", b"b")
    assert provenance.group(data, 1) == b"a"


def test_words_and_links_that_a_pattern_finds_are_known_whatever_was_before(
    provenance: Provenance,
) -> None:
    provenance.groups(LINE.match("1,b,"))
    provenance.groups(SPELLS.match("mail=x"))
    assert provenance.check_of("mail") == ("pattern", None)
    assert provenance.check_of("x") == ("", None)
    provenance.group(LINE.match("2,https://a.example,"), 2)
    assert provenance.has_found("https://a.example")
    provenance.begin()
    provenance.groups(LINE.match("1,b,"))
    assert provenance.check_of("mail") == ("", None)


def test_answers_wait_until_somebody_asks(provenance: Provenance) -> None:
    texts = [f"{n},b,x" for n in range(2 * MAX_ANSWERS)]
    for text in texts:
        provenance.matched_by("match", FIELDS.match, text)
        provenance.affirmed(text, "startswith", text[:1])
    assert len(provenance._answers) <= MAX_ANSWERS
    for text in (texts[0], texts[-1]):
        assert provenance.check_of(text) == ("pattern", None)
        found, begun = provenance.asked_of(text)
        assert found.ask(text) and not found.ask("b")
        assert begun.ask(text) and not begun.ask("b")
        assert provenance.kept["prefix", text] == text[:1]
    provenance.end()
    assert not provenance._answers
    assert provenance.check_of(texts[0]) == ("", None)


def test_a_word_is_one_whatever_pattern_matched_it(provenance: Provenance) -> None:
    word = re.compile("[a-z]+")
    provenance.patterns.add(word, ANY_LENGTH)
    for text, pattern_first in (("ab", True), ("cd", False)):
        ways = [
            partial(provenance.matched_by, "match", word.match, text),
            partial(provenance.affirmed, text, "isalpha"),
        ]
        for way in ways if pattern_first else ways[::-1]:
            way()
        assert provenance.check_of(text)[0] == "word"
