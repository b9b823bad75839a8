"""Pieces of texts around their signs: what is the same by chance, and what is not."""

from __future__ import annotations

import pytest

from casemate.guard.fragments import Fragments

SQL = "select counts.sku from counts where (counts.sku not in ("


def found(text: str, inside: str) -> list[str]:
    fragments = Fragments()
    fragments.add(text, None)
    return [inside[start:end] for start, end, _ in fragments.find(inside)]


@pytest.mark.parametrize(
    "text",
    ["(select password from users)", "in (select id from t) as a note", "[counts of today] in it"],
)
def test_a_bracket_and_a_word_that_libraries_begin_with_are_no_piece(text: str) -> None:
    assert found(text, f"{SQL}select stock.sku from stock)) and [counts a") == []


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("(select password from users)", f"{SQL}select password from users))"),
        ("(select 1)", f"{SQL}select 1))"),
        ("(select 1)", f"{SQL}select\n1))"),
        # Nothing closes it, or nothing follows it: then it is all that there is.
        ("x) or (select a", "where (x) or (select 2)"),
        ("(select ", f"{SQL}select stock.sku from stock))"),
        ("x (select pass", f"{SQL}select stock.sku from stock))"),
    ],
)
def test_more_than_that_is(text: str, inside: str) -> None:
    assert found(text, inside)
