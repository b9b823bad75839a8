"""The forms in which an application may have decoded a text."""

from __future__ import annotations

import base64
import gzip
import json
import random
import unicodedata
import zlib
from urllib.parse import quote, quote_plus, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.guard import decoding
from casemate.guard.decoding import (
    MAX_FORM,
    MAX_INFLATED,
    decoded,
    dict_of_lists,
    normalized,
    unquoted,
)

PAYLOAD = "x' OR 1=1 -- ü"
PRINTABLE = st.text(
    alphabet=st.characters(min_codepoint=32, exclude_categories=("Cs", "Cc")), min_size=6
)


def forms(text: str) -> list[object]:
    return [form for _, form in decoded(text)]


def encode64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def token(*parts: object) -> str:
    coded = [base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts]
    return ".".join([*coded, "c2lnbmF0dXJl"])


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (quote(PAYLOAD), PAYLOAD),
        (quote_plus(PAYLOAD), PAYLOAD),
        (encode64(PAYLOAD.encode()), PAYLOAD),
        (encode64(PAYLOAD.encode()).rstrip("="), PAYLOAD),
        (base64.urlsafe_b64encode(b"~~??>>' --").decode(), "~~??>>' --"),
        (base64.encodebytes(PAYLOAD.encode() * 10).decode(), PAYLOAD * 10),
        ("data:text/plain;base64," + encode64(PAYLOAD.encode()), PAYLOAD),
        (PAYLOAD.encode().hex(), PAYLOAD),
        ("0x" + PAYLOAD.encode().hex().upper(), PAYLOAD),
        (encode64(gzip.compress(PAYLOAD.encode(), mtime=0)), PAYLOAD),
        (encode64(zlib.compress(PAYLOAD.encode())), PAYLOAD),
        ("a&#39;b &lt;", "a'b <"),
        ("a\\u0027b\\x27", "a'b'"),
        ("\uff58\uff07", "x'"),
        ("e\u0301'", "é'"),
        ('["a", 1]', ["a", 1]),
        ('"a"', "a"),
        ("a=1&b=x%27&b=2", {"a": "1", "b": ["x'", "2"]}),
        ("/p?q=a+b", {"q": "a b"}),
        (token({"alg": "x"}, {"sub": PAYLOAD}), json.dumps({"sub": PAYLOAD})),
        ("Bearer " + token({"alg": "x"}, {"sub": "y'"}), json.dumps({"sub": "y'"})),
    ],
)
def test_each_encoding_is_undone(text: str, form: object) -> None:
    assert form in forms(text)


def test_multipart_is_taken_apart() -> None:
    body = (
        '--b1\r\nContent-Disposition: form-data; name="q"\r\n\r\nx\' --\r\n'
        '--b1\r\nContent-Disposition: form-data; name="f"; filename="../a"\r\n\r\ndata\r\n'
        "--b1--\r\n"
    )
    found = dict(decoded(body))
    assert ["q", "x' --"] in found["multipart"]  # type: ignore[operator]
    assert ["f", "../a", "data"] in found["multipart"]  # type: ignore[operator]


@pytest.mark.parametrize("text", ["", "a", "Ada Lovelace", "2026-11-25", "1.5", "a-b", "{broken"])
def test_plain_text_has_no_other_form(text: str) -> None:
    assert forms(text) == []


def test_what_is_no_text_is_left() -> None:
    coded = encode64(bytes(range(256)))
    assert [how for how, _ in decoded(coded) if "base64" in how] == []
    assert forms(bytes(range(128, 160)).hex()) == []


def test_a_bomb_is_not_blown_up() -> None:
    bomb = encode64(gzip.compress(b"a" * (MAX_INFLATED + 1)))
    assert [how for how, _ in decoded(bomb) if "gzip" in how] == []


def test_a_very_long_text_is_taken_as_it_is() -> None:
    assert forms("%41" * MAX_FORM) == []


def test_deep_json_is_left() -> None:
    assert forms("[" * 100_000) == []


def test_fields_that_come_often_are_a_list() -> None:
    assert dict_of_lists([("a", "1"), ("a", "2"), ("a", "3")]) == {"a": ["1", "2", "3"]}


@given(st.text(max_size=300))
def test_nothing_raises(text: str) -> None:
    for how, form in decoded(text):
        assert how
        assert form is not None


@given(PRINTABLE)
def test_base64_of_any_text_is_undone(text: str) -> None:
    assert text in forms(encode64(text.encode()))
    assert text in forms(text.encode().hex())


@given(st.text(alphabet="%0123456789abcdefABCDEFxé+", max_size=60))
def test_url_encoding_is_undone_as_the_standard_library_does(text: str) -> None:
    assert unquoted(text) == unquote(text)


BYTES_AND_TEXT = st.lists(
    st.one_of(
        st.binary(max_size=6).map(lambda data: data.decode(errors="surrogateescape")),
        st.text(alphabet=st.characters(), max_size=6),
        st.sampled_from(("e\u0301", "\ufb01", "\u1100\u1161\u11a8", "a\u0323\u0307", "\ud800")),
    ),
    max_size=12,
).map("".join)


@given(BYTES_AND_TEXT, st.sampled_from(("NFC", "NFKC")))
def test_what_is_partly_no_text_has_the_normal_form_that_it_has(text: str, form: str) -> None:
    assert normalized(form, text) == unicodedata.normalize(form, text)


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
def test_no_character_of_two_bytes_is_left_as_it_is_that_may_change(form: str) -> None:
    marks = [chr(n) for n in range(0x300, 0x370)]
    two = [chr(n) for n in range(0x80, 0x800)]
    pieces = [c + mark for c in two for mark in marks] + [f"e{c}e{c}{c}" for c in two]
    expected = "\udc80".join([unicodedata.normalize(form, piece) for piece in pieces])
    assert normalized(form, "\udc80".join(pieces)) == expected


def test_no_character_of_two_bytes_that_stays_combines_with_one_before_it() -> None:
    seconds = set()
    for number in range(0x110000):
        parts = unicodedata.decomposition(chr(number)).split()
        if len(parts) == 2 and parts[0][0] != "<":
            seconds.add(chr(int(parts[1], 16)))
    for form, expression in decoding._MAY_CHANGE.items():
        left = [c for c in seconds if c >= "\x80" and not expression.fullmatch(c)]
        assert not left, form


def test_of_bytes_by_chance_few_characters_are_normalized(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(
        decoding.unicodedata, "normalize", lambda _, text: seen.append(text) or text
    )
    forms(random.Random(7).randbytes(116_000).decode(errors="surrogateescape"))
    assert len(seen) < 4000  # before: 6,700


def test_of_a_picture_no_byte_without_a_character_is_normalized(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(
        decoding.unicodedata, "normalize", lambda _, text: seen.append(text) or text
    )
    picture = bytes(range(256)) * 400
    forms(picture.decode(errors="surrogateescape"))
    assert sum(map(len, seen)) < len(picture) // 10
