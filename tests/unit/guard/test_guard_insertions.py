"""XML of the code: data may be text or whole elements in it, and may end nothing of it."""

from __future__ import annotations

import pytest

from casemate.guard.markup.insertions import judge
from casemate.guard.origin import Origin, Span


def changed(before: str, *parts: str, checked: str = "") -> str:
    """Judge a document: code's text, data, code's text, data and so on."""
    text, spans = before, []
    for number, part in enumerate(parts):
        if number % 2 == 0:
            origin = Origin("event", (str(number),))
            spans.append(Span(len(text), len(text) + len(part), origin, True, checked))
        text += part
    verdict = judge(text, spans)
    return verdict.changed if verdict is not None else ""


@pytest.mark.parametrize(
    "parts",
    [
        ("<a><b>", "x</b><c/><b>", "</b></a>"),
        ("<a>", "</a><a>", "</a>"),
        ("<a>", "<b/><!-- ", "</a>"),
        ("<a>", "<![CDATA[ ", "</a>"),
        ("<a>", "<b></b></a", "></a>", "</a>", ""),
        ('<a b="', 'x" c="', '"/>'),
        ("<a b='", "x'/><c d='", "'/>"),
        ("<a ", "b='c' d", "='e'/>"),
        ("<a><", "b/><c", "/></a>"),
        ("<a><!-- ", "x --><b/><!-- ", "--></a>"),
        ("<a><![CDATA[", "x]]><b/>", "]]></a>"),
        ("<?p ", "x?><!DOCTYPE a", "?><a/>"),
    ],
)
def test_data_that_ends_its_place_is_found(parts: tuple[str, ...]) -> None:
    assert changed(*parts)
    assert not changed(*parts, checked="member")


@pytest.mark.parametrize(
    "parts",
    [
        ("<a><b>", "x > y &amp; z", "</b></a>"),
        ("<a>", "<b c='>'>d</b><!-- </a> --><e/>", "</a>"),
        ("<a>", "<b>", "text", "</b>", "</a>"),
        ('<a b="', "it's > all", "\" c='", '"x"', "'/>"),
        ("<a><", "b", "/></a>"),
        ("<a><!-- ", "<x> - </a>", "--></a>"),
        ("<a><![CDATA[", "</a>]]", " ]]></a>"),
        ("", "<a></a></b>", ""),
        ("<a b='never ends", "x", ""),
    ],
)
def test_data_in_its_place_passes(parts: tuple[str, ...]) -> None:
    assert not changed(*parts)


def test_a_document_of_many_tags_is_judged_in_linear_time() -> None:
    text = "<a b='c'>" * 20_000
    assert not judge(text + "x", [Span(len(text), len(text) + 1, Origin("event", ()), True)])
    assert not judge("<" * 200_000 + "x", [Span(200_000, 200_001, Origin("event", ()), True)])


def test_many_parts_are_judged_in_linear_time() -> None:
    parts = ["<a>", *["x", "<b c='"] * 1, "y", *["'/><b c='", "y"] * 10_000, "'/></a>"]
    assert not changed(*parts)
