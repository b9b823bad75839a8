"""Inspection of events: what is refused, in every form of JSON, what is not, and what it costs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.admission import inspection
from casemate.admission.inspection import inspect, reason


def event(value: object) -> bytes:
    """Encode."""
    return json.dumps(value).encode()


PLAIN = event(
    {
        "id": "12345678-1234-5678-1234-567812345678",
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "at": "2026-01-31T10:00:00.000Z",
        "total": 12.5,
        "items": [{"sku": f"A-{n}", "n": n, "note": "a plain note of text."} for n in range(14)],
    }
)


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ({"a": "x\x00y"}, inspection.NULL),
        ({"a\x00": 1}, inspection.NULL),
        ({"__proto__": {"admin": True}}, inspection.PROTOTYPE),
        ({"a": [{"b": {"__proto__": 1}}]}, inspection.PROTOTYPE),
        ({"a.__proto__.b": 1}, inspection.PROTOTYPE),
        ({"a[__proto__][b]": 1}, inspection.PROTOTYPE),
        ({"constructor": {"prototype": {"x": 1}}}, inspection.PROTOTYPE),
        ({"constructor.prototype.x": 1}, inspection.PROTOTYPE),
        ({"body": json.dumps({"__proto__": {"x": 1}})}, inspection.PROTOTYPE),
        ({"body": json.dumps({"a": json.dumps({"__proto__": 1})})}, inspection.PROTOTYPE),
    ],
)
def test_what_is_unambiguous_is_refused(value: object, label: str) -> None:
    assert inspect(event(value)) == label


@pytest.mark.parametrize(
    "raw", [b'{"a": "\\ud800"}', b'{"a": "x\xff<"}', b'{"a": "\\udc00\\ud800"}']
)
def test_texts_that_are_no_unicode_are_refused(raw: bytes) -> None:
    assert inspect(raw) == inspection.ENCODING


def test_operators_are_refused_where_a_contract_does_not_name_them() -> None:
    raw = event({"user": {"$ne": None}})
    assert inspect(raw) is None
    assert inspect(raw, b'{"properties": {"user": {"type": "string"}}}') == "operator-key"
    assert inspect(raw, b'{"properties": {"user": {"properties": {"$ne": {}}}}}') is None


def test_a_contract_can_allow_null_bytes_and_names() -> None:
    assert inspect(event({"a": "x\x00"}), rb'{"pattern": "^[^\u0000]*\u0000$"}') is None
    assert inspect(event({"__proto__": 1}), b'{"properties": {"__proto__": {}}}') is None


@pytest.mark.parametrize(
    "value",
    [
        {"name": "O'Neill & Sons; Ltd.", "note": "5 < 7, 100% sure"},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": "#/a"},
        {"price": "$5", "path": "a/b/c.txt", "url": "https://example.com/?a=1&b=2#c"},
        {"text": "select a colour or drop by; union of states"},
        {"hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
        {"body": '{"a": 1}', "query": "a=b&c=d"},
        {"constructor": "Ada", "prototype": 1},
        {"emoji": "naïve café 🎉"},
        [1, 2, None, True],
        "a text",
    ],
)
def test_usual_events_are_let_through(value: object) -> None:
    assert inspect(event(value)) is None
    assert inspect(event({"body": json.dumps(value)})) is None


@pytest.mark.parametrize(
    "text", ["hi 😀", "👩\u200d👩", "𝄞 and 𐍈", "\\ud83d in prose", "\U0010ffff"]
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_what_json_writes_for_any_character_is_let_in(text: str, *, ascii_only: bool) -> None:
    raw = json.dumps({"text": text}, ensure_ascii=ascii_only)
    for _ in range(3):  # as it is, as a request's body, and as JSON in that
        assert inspect(raw.encode()) is None
        raw = json.dumps({"body": raw}, ensure_ascii=ascii_only)


@given(st.text(alphabet=st.characters()), st.booleans())
def test_a_text_is_refused_just_where_it_is_no_unicode(text: str, nested: bool) -> None:
    """`json` writes and reads halves of characters; nothing else does."""
    raw = json.dumps({"text": text})
    raw = json.dumps({"body": raw}) if nested else raw
    try:
        text.encode()
    except UnicodeEncodeError:
        assert inspect(raw.encode()) == inspection.ENCODING
    else:
        wanted = inspection.NULL if "\x00" in text and not nested else None
        assert inspect(raw.encode()) == wanted


def test_half_a_character_in_json_in_a_text_is_refused() -> None:
    assert inspect(event({"body": '{"a": "\\ud83d"}'})) == inspection.ENCODING
    assert inspect(event({"body": '{"a": "\\ude00\\ud83d"}'})) == inspection.ENCODING


@pytest.mark.parametrize(
    "make",
    [
        lambda size: b'{"a": "' + b"${" * size + b'"}',
        lambda size: b'{"a": "' + b"{%" * size + b'\\u0041"}',
        lambda size: b'{"a": "' + b"<%" * size + b'__proto__"}',
        lambda size: event({"a": ["__proto__"] * (size // 8)}),
        lambda size: event([{"constructor": n} for n in range(size // 16)]),
        lambda size: event({"body": json.dumps([{"__proto_": "\u0001"}] * (size // 20))}),
        lambda size: event({"constructor" + "[." * size: 1}),
        lambda size: b'{"a": "' + b"\\\\" * size + b'\\u0041"}',
        lambda size: event({"a": " " * size + "{__proto__"}),
        lambda size: event({"a": "[" * size + "__proto__"}),
        lambda size: b'{"a": "' + b"\\ud83d\\ude00" * (size // 12) + b'"}',
    ],
)
def test_no_event_costs_more_than_in_proportion_to_its_size(make: Callable[[int], bytes]) -> None:
    def seconds(size: int) -> float:
        raw = make(size)
        before = time.thread_time()
        inspect(raw, b"{}")
        return time.thread_time() - before

    small = min(seconds(64_000) for _ in range(3))
    large = min(seconds(512_000) for _ in range(3))
    assert large < 0.25
    assert large < 24 * max(small, 0.0005)


def test_an_event_of_more_values_than_are_looked_at_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inspection, "MAX_VALUES", 1000)
    many = event({"a": list(range(1001)), "b": "constructor"})
    assert inspect(many) == inspection.UNSEEN
    assert "more than" in (reason(many) or "")
    assert inspect(event({"a": list(range(1001))})) is None, "nothing in it is remarkable"


def test_texts_that_are_read_as_json_count_for_more() -> None:
    """5 MB of them took 0.36 s to look at, and were below the bound until the end of it."""
    text = json.dumps({"\x00": 1})
    some = inspection.MAX_VALUES // (2 * (inspection.NESTED_VALUES + 3))
    assert inspect(event([text] * some)) is None
    assert inspect(event([text] * 3 * some)) == inspection.UNSEEN


def test_an_event_without_anything_remarkable_is_not_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def decode(_: bytes) -> object:
        raise AssertionError("decoded")

    monkeypatch.setattr(inspection, "_decode", decode)
    assert 900 < len(PLAIN) < 1200
    assert inspect(PLAIN) is None


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
    lambda children: st.lists(children) | st.dictionaries(st.text(alphabet="abc$_<"), children),
    max_leaves=20,
)


@given(json_values)
def test_no_event_that_is_json_makes_it_fail(value: object) -> None:
    assert inspect(event(value)) in (None, inspection.PROTOTYPE)


@given(st.binary(max_size=60))
def test_no_bytes_make_it_fail(data: bytes) -> None:
    inspect(data)
