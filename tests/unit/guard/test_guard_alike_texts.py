"""What is asked of many texts by one expression is what is asked of each."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.guard import decoding, forms
from casemate.guard.batches import Sorted, lowered, sort_out
from casemate.guard.binary import texts_in

KINDS = ("AbCdEfGhIj", "a;", "a b ", "é%27", "name", "it's ", '"', "d29yZCAxMjM=", "/p?q=+")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3), st.data())
def test_many_texts_are_sorted_as_each_alone(kinds: list[str], data: st.DataObject) -> None:
    ends = st.text(alphabet="ab=\0 %';/\n", max_size=9)
    texts = [
        f"{kinds[n % len(kinds)]}{n}{data.draw(ends) if n % 7 == 3 else ''}" for n in range(50)
    ]
    together = sort_out(texts)
    each = [sort_out([text]) for text in texts]
    for kind in Sorted._fields:
        assert getattr(together, kind) == [text for one in each for text in getattr(one, kind)]


@pytest.mark.parametrize("text", ["ÀÉß", "AbÇ\u00d7\u00de", "Σ", "\u0130É", "中É", "\u212a"])
def test_texts_are_lowered_to_the_same_length(text: str) -> None:
    lower = "".join(sign.lower() if sign != "\u0130" else sign for sign in text)
    assert lowered(text) == lower


@settings(deadline=None)
@given(st.binary(max_size=24))
def test_what_is_left_out_of_bytes_in_base85_holds_nothing(data: bytes) -> None:
    if not forms._may_be_any(data):
        assert list(forms._of_bytes(data, "base85", False)) == []


@settings(deadline=None)
@given(st.lists(st.text(alphabet="0a9Fx\\gz", min_size=1, max_size=12), min_size=1, max_size=6))
def test_hex_is_found_among_many(texts: list[str]) -> None:
    if any(map(decoding.is_hex, texts)):
        assert decoding.has_hex("\0".join(["", *texts, ""])) is not None


@pytest.mark.parametrize("unit", [b"", b"\0"])
def test_a_text_behind_thousands_of_the_same_is_found(unit: bytes) -> None:
    def run(text: str) -> bytes:
        return b"".join(bytes([sign]) + unit for sign in text.encode())

    data = (run("the same text") + b"\xff\xfe") * 3000 + run("another one") + b"\xff"
    assert texts_in(data)[:2] == ["the same text", "another one"]
