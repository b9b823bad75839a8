"""What comes of many texts together is what comes of each of them alone."""

from __future__ import annotations

import base64

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from casemate.guard import decoded_texts, decoded_together
from casemate.guard.batches import written_otherwise
from casemate.guard.decoded_together import apart_of
from casemate.guard.decoding import decoded
from casemate.guard.forms import Forms
from casemate.guard.taint import Taint

PIECES = (
    *("%27", "%", "%C3%A9", "%e2%82", "+", "&lt;", "&#39;", "&#x27", "&amp;lt;", "&", ";", "a"),
    *(
        "\\u0027",
        "\\x27",
        "\\",
        "\\ud83d\\ude00",
        "é",
        "e\u0301",
        "\u0301",
        "ﬁ",
        "\ufdfa",
        "\u0130",
    ),
    *("[", "]", "{", "}", '"', "'", "`", ":", ",", "1", "[1]", '{"a": "b"}', '"x"', "\n", "\r\n"),
    *("=", "a=b", "?", "/", "--", "Content-Disposition:", "data:", ";base64,", "Bearer ", ".", "-"),
    *(
        "aGVsbG8gd29ybGQ",
        "YTsn",
        "H4sI",
        "0x",
        "\\x",
        "414243",
        " ",
        "\t",
        "\x85",
        "\udc80",
        "\ud83d",
    ),
    *("Σ", "ς", "中", "\U0001f600", "xn--", "=27", "=?utf-8?q?x?=", "+ACc-", "~", "(", "É", "true"),
)
TEXTS = st.lists(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map("".join), unique=True, max_size=12
)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
@example(["&lt", "a;", "&am", "p;"])
@example(["[1", "]", "[1]", '["a"]', '["a"] ', "[1] [2]", "[a]", "{}", '{"a"}'])
def test_texts_are_decoded_together_as_one_by_one(texts: list[str]) -> None:
    together, alone = apart_of(texts) if texts else ([], [])
    assert sorted([*together, *alone]) == sorted(texts)
    made = decoded_together.decoded_together(together)
    for text in together:
        assert made.get(text, []) == list(decoded(text)), text


@settings(deadline=None)
@given(TEXTS)
@example(["[]"])
def test_all_forms_are_those_of_each(texts: list[str]) -> None:
    together = apart_of(texts)[0] if texts else []
    one = Forms()
    made = Forms().of_all(together, lambda cost: None, 0)
    for text in together:
        assert made.get(text, []) == list(one.of(text)), text


@settings(deadline=None)
@given(TEXTS)
def test_texts_are_written_together_as_one_by_one(texts: list[str]) -> None:
    found: dict[str, set[str]] = {text: set() for text in texts}
    for forms, written in written_otherwise(texts) if texts else ():
        for form, text in zip(forms, written, strict=True):
            found[text].add(form)
    for text in texts:
        assert found[text] - {text} == _written(text) - {text}


def _written(text: str) -> set[str]:
    import json

    found = set()
    if set("'\"`") & set(text):
        found = {text.replace("'", "''"), text.replace("'", "\\'"), text.replace('"', '""')}
        found.add(text.replace("'", "\\'").replace('"', '\\"'))
    if not text.isprintable() or '"' in text or "\\" in text:
        found |= {json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]}
    if not text.isascii():
        found |= {json.dumps(text)[1:-1], ascii(text)[1:-1]}
    return found


Answer = tuple[list[tuple[int, int]], list[tuple[int, int]]]


def _answers(texts: list[str], questions: list[str]) -> tuple[set[str], list[Answer]]:
    taint = Taint(lambda word: word == "code")
    taint.add("event", texts)
    found = [
        (
            [(span.start, span.end) for span in taint.search(question)],
            [(span.start, span.end) for span in taint.fragments(question)],
        )
        for question in questions
    ]
    assert all(taint.exact(text) for text in texts)
    return set(taint._texts), found


def _are_within(some: list[tuple[int, int]], others: list[tuple[int, int]]) -> bool:
    return all(any(a <= start and end <= b for a, b in others) for start, end in some)


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.data())
def test_nothing_is_missed_that_is_found_of_texts_one_by_one(
    texts: list[str], data: st.DataObject
) -> None:
    """More can be found: what came of one text is not asked again if it is one of the others."""
    parts = [*texts, *(form for text in texts for _, form in decoded(text) if type(form) is str)]
    some = st.lists(st.sampled_from([*parts, "SELECT ", " ' "]), max_size=4).map("".join)
    questions = data.draw(st.lists(some, min_size=1, max_size=3))
    known, together = _answers(texts, questions)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoded_texts, "apart_of", lambda batch: ([], batch))
        known_alone, alone = _answers(texts, questions)
    assert known_alone <= known
    for ours, theirs in zip(together, alone, strict=True):
        for kind, other in zip(ours, theirs, strict=True):
            assert _are_within(other, kind)
            assert known > known_alone or kind == other


def test_base64_among_hard_texts_is_undone() -> None:
    texts = [base64.b64encode(b"~~?>;'x%d" % n).decode() for n in range(40)]
    made = decoded_together.decoded_together(texts)
    for text in texts:
        assert made.get(text, []) == list(decoded(text))
