"""Texts are written in other ways where a question may have them so, and are found as before."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from casemate.guard import unwritten
from casemate.guard.batches import Writer, written_alone
from casemate.guard.needles import SHORT
from casemate.guard.taint import Taint
from casemate.guard.unwritten import Unwritten

PIECES = (
    *("'", '"', "`", "\\", "''", "a", "ab", "abc", "it", "x y", "\n", "\x7f", "é", "É", "中", "Σ"),
    *("ς", "\u212a", "\u0130", "\U0001f600", "%", ";", "\udc80", "name", "SELECT", "\x00"),
)
TEXT = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join)


def _all_at_once(self: Unwritten, text: str, inside: str) -> Iterator[tuple[list[str], Writer]]:
    yield from self._waiting
    self._waiting.clear()


def _found(texts: list[str], questions: list[str]) -> list[list[tuple[int, int]]]:
    taint = Taint(lambda word: False)
    taint.add("event", texts)
    return [[(s.start, s.end) for s in taint.search(question)] for question in questions]


def _written(text: str) -> list[str]:
    return [text, *chain.from_iterable(forms for forms, _ in written_alone([text]))]


@settings(max_examples=400, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=8, unique=True), st.data())
@example(['é"中', "abc"], None)
@example(["'", "'\u0130"], None)
def test_the_same_is_found_as_if_all_were_written_at_once(
    texts: list[str], data: st.DataObject | None
) -> None:
    forms = [form for text in texts for form in _written(text)]
    questions = [f"x = '{form}' -- ''\\" for form in forms]
    if data is not None:
        questions = data.draw(st.lists(st.sampled_from(questions), min_size=1, max_size=4))
    long = [question + " " * SHORT for question in questions[:1]]
    some = _found(texts, questions + long)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Unwritten, "take", _all_at_once)
        assert _found(texts, questions + long) == some


def test_what_a_question_has_no_part_of_stays_unwritten() -> None:
    written: list[str] = []

    def write(texts: list[str]) -> Iterator[tuple[list[str], list[str]]]:
        written.extend(texts)
        yield [], []

    held = Unwritten()
    texts = [f"it's {n:05}" for n in range(1000)] + ["中'国", "é'"]
    held.add(texts, write)  # type: ignore[arg-type]
    taken = [text for some, _ in held.take("a 's 00007'", "a 's 00007'") for text in some]
    assert taken == [f"it's {n:05}" for n in range(10)]
    assert [text for some, _ in held.take("a 's 00007'", "a 's 00007'") for text in some] == []
    assert [text for some, _ in held.take("é''", "é''") for text in some] == ["é'"]
    assert [text for some, _ in held.take("\\u4e2d", "\\u4e2d") for text in some] == ["中'国"]


@pytest.mark.parametrize(
    ("text", "run"),
    [
        *(("it's Ann", "s ann"), ("'ab'", ""), ("ab\\cde", "cde"), ("éabcÉ", "abc"), ("中", "")),
        *(("\u212aab", ""), ("ABCDEFGH", "abcdef"), ("a\nb\nUNI", "uni")),
    ],
)
def test_the_first_run_of_plain_characters_is_known(text: str, run: str) -> None:
    assert unwritten._first_runs([text]) == [run]
    assert unwritten._first_runs([text, "", text]) == [run, "", run]
