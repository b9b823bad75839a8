"""What `re.sub` made, taken apart: what is of the text, and what was put in its place."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from casemate.guard.matched import parts_of, substitution

BOLD = re.compile(r"\*(?P<inside>\w+)\*")


def _parts(by: str | Callable[[re.Match[str]], str], text: str, *noted: str) -> object:
    made = substitution(BOLD.sub, (by, text), {})
    assert made is not None
    found = parts_of(made, BOLD.sub(by, text), noted)
    if found is None:
        return None
    return [
        (part.made,) if part.made is not None else text[part.start : part.end] for part in found
    ]


@pytest.mark.parametrize("by", [r"<b>\1</b>", r"<b>\g<inside></b>"])
def test_a_template_is_the_codes_and_its_groups_the_texts(by: str) -> None:
    assert _parts(by, "a *b* c") == ["a ", ("<b>",), "b", ("</b>",), " c"]


def test_what_a_function_returned_is_among_the_noted_texts() -> None:
    def bold(match: re.Match[str]) -> str:
        return "<b>" + match[1] + "</b>"

    assert _parts(bold, "a *b* c", "<b>b</b>") == ["a ", ("<b>b</b>",), " c"]
    assert _parts(bold, "a *b* c") is None


def test_other_calls_are_not_taken_apart() -> None:
    assert substitution(str.replace, ("a", "b", "c"), {}) is None
    assert substitution(BOLD.sub, ("x",), {"string": "a"}) is None
