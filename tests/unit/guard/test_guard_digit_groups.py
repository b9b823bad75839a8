"""Texts of base32 and base85 hold together what each holds alone in the standard library."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.guard.digit_groups import ASCII85, BASE32, BASE85, Digits, decoded

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
OF_32 = _LETTERS + "234567"
OF_85 = "0123456789" + _LETTERS + _LETTERS.lower() + "!#$%&()*+-;<=>?@^_`{|}~"
OF_ASCII = "".join(map(chr, range(ord("!"), ord("u") + 1)))


def _alone(decode: Callable[[str], bytes], text: str) -> bytes | None:
    try:
        return decode(text)
    except ValueError:
        return None


def _of_32(text: str) -> bytes:
    return base64.b32decode(text + "=" * (-len(text) % 8))


@given(st.lists(st.text(OF_32, max_size=30).filter(lambda t: len(t) % 8 in (0, 2, 4, 5, 7))))
def test_base32(texts: list[str]) -> None:
    assert decoded(texts, BASE32) == [_of_32(text) for text in texts]


@given(st.lists(st.text(OF_85, max_size=30) | st.text("|}~", max_size=12)))
def test_base85(texts: list[str]) -> None:
    assert decoded(texts, BASE85) == [_alone(base64.b85decode, text) for text in texts]


@given(st.lists(st.text(OF_ASCII, max_size=30) | st.text("!stuz", max_size=12)))
def test_ascii85(texts: list[str]) -> None:
    assert decoded(texts, ASCII85) == [_alone(base64.a85decode, text) for text in texts]


@pytest.mark.parametrize(
    ("digits", "encode"),
    [(BASE32, base64.b32encode), (BASE85, base64.b85encode), (ASCII85, base64.a85encode)],
    ids=["base32", "base85", "ASCII85"],
)
def test_many_of_all_sizes(digits: Digits, encode: Callable[[bytes], bytes]) -> None:
    held = [bytes(range(256))[n : 2 * n] for n in range(1, 128)] + [
        bytes(size) for size in range(9)
    ]
    texts = [encode(data).decode() for data in held]
    if digits is BASE32:
        texts = [text.rstrip("=") for text in texts]
    assert decoded(texts, digits) == held
