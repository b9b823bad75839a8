"""Redaction finds values in every form that text takes, and leaves the rest as it is."""

from __future__ import annotations

import base64
import json
import re
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.vault.redaction import Redactor

MARK = b"[redacted:key]"
VALUES = st.binary(min_size=6, max_size=60)
AROUND = st.binary(max_size=20)


@given(VALUES, AROUND, AROUND)
def test_raw(value, before, after) -> None:
    redacted = Redactor([("key", value)]).redact(before + value + after)
    assert MARK in redacted
    assert value not in redacted.replace(MARK, b"")


@given(VALUES, AROUND, AROUND, st.booleans())
@settings(max_examples=200)
def test_base64_at_any_place_in_other_data(value, before, after, url_safe) -> None:
    encode = base64.urlsafe_b64encode if url_safe else base64.b64encode
    text = b"<" + encode(before + value + after) + b">"
    redacted = Redactor([("key", value)]).redact(text)
    assert MARK in redacted
    # Every character that holds any bit of the value is gone.
    first, last = len(before) * 8 // 6, -(-(len(before) + len(value)) * 8 // 6)
    # (A value of zeros may be found more than once.)
    start, end = redacted.split(MARK, 1)[0], redacted.rsplit(MARK, 1)[1]
    assert len(start) - 1 <= first
    assert len(end) <= len(text) - 1 - last


@given(VALUES)
def test_hexadecimal(value) -> None:
    redactor = Redactor([("key", value)])
    for text in (value.hex(), value.hex().upper()):
        assert redactor.redact(f"a {text} b".encode()) == b"a " + MARK + b" b"


@given(VALUES, st.sampled_from(["", "/", "!*'()"]))
def test_percent_encoding_whatever_is_left_plain(value, safe) -> None:
    redactor = Redactor([("key", value)])
    text = quote(value, safe=safe)
    for form in (text, re.sub("%..", lambda m: m[0].lower(), text)):
        redacted = redactor.redact(b"q=" + form.encode() + b"&r=%20")
        assert redacted == b"q=" + MARK + b"&r=%20"
    if b" " in value:
        assert MARK in redactor.redact(quote_plus(value).encode())


@given(st.text(min_size=6, max_size=30).filter(lambda t: t.isprintable() or "\n" in t))
def test_json_and_python_escapes(text) -> None:
    value = text.encode()
    redactor = Redactor([("key", value)])
    for form in (
        json.dumps({"v": text}),
        json.dumps({"v": text}, ensure_ascii=False),
        json.dumps({"v": text}).replace("/", "\\/"),
        json.dumps({"v": "".join(f"\\u{ord(c):04x}" for c in text if ord(c) < 0x10000)}),
        repr(value),
    ):
        redacted = redactor.redact(form.encode())
        if form.count("\\\\u") > 1:
            continue  # encoded twice
        assert MARK in redacted, form


def test_escapes_of_every_character() -> None:
    redacted = Redactor([("key", b'p/w"1\xc3\xa4\n\xf0\x9f\x98\x80')]).redact(
        rb'{"a\u0020b": "x\u0070\/\u0077\"1\u00E4\n\uD83D\ude00y"}'
    )
    assert redacted == rb'{"a\u0020b": "x' + MARK + rb'y"}'


def test_a_line_of_a_long_value() -> None:
    key = b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\nshort\n-----END PRIVATE KEY-----"
    redactor = Redactor([("key", key)])
    assert redactor.redact(b"line MC4CAQAwBQYDK2VwBCIEIA.") == b"line " + MARK + b"."
    assert redactor.redact(b"a short line") == b"a short line"
    assert redactor.redact(b"-----BEGIN PRIVATE KEY-----") == b"-----BEGIN PRIVATE KEY-----"
    assert redactor.redact(b"<" + key + b">") == b"<" + MARK + b">"


def test_overlapping_values_leave_nothing() -> None:
    redactor = Redactor([("one", b"abcdefgh"), ("two", b"efghijkl")])
    assert redactor.redact(b"-abcdefghijkl-") == b"-[redacted:one]-"
    assert Redactor([("key", b"aaaaaa")]).redact(b"b" + b"a" * 20 + b"b") == b"b" + MARK + b"b"
    redactor = Redactor([("short", b"secret"), ("long", b"secret-and-more")])
    assert redactor.redact(b"secret-and-more secret") == b"[redacted:long] [redacted:short]"


def test_two_side_by_side_are_both_named() -> None:
    redactor = Redactor([("one", b"abcdef"), ("two", b"ghijkl")])
    assert redactor.redact(b"abcdefghijkl") == b"[redacted:one][redacted:two]"


@given(st.binary(max_size=300))
def test_other_text_stays_as_it_is(text) -> None:
    assert Redactor([("key", bytes(range(200, 232)))]).redact(text) == text


@given(st.binary(max_size=200), st.lists(VALUES, min_size=1, max_size=3))
def test_no_value_is_left_whatever_the_text(noise, values) -> None:
    redactor = Redactor([("n", value) for value in values])
    text = noise + values[0] + noise.join(values) + noise
    rest = redactor.redact(text).split(b"[redacted:n]")
    assert not any(value in part for value in values for part in rest)


@pytest.mark.parametrize("text", [b"%41" * 300_000, rb"\u0041" * 150_000, b"a" * 1_000_000])
def test_hostile_text_takes_no_more_than_a_moment(text) -> None:
    started = time.process_time()
    assert Redactor([("key", b"correct horse battery")]).redact(text) == text
    assert time.process_time() - started < 5
