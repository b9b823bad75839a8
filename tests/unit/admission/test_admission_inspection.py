"""Inspection of events: what is refused, what is labelled, in every form, and what it costs."""

from __future__ import annotations

import base64
import gzip
import json
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.admission import inspection
from casemate.admission.inspection import Inspector, inspect


def event(value: object) -> bytes:
    """Encode."""
    return json.dumps(value).encode()


def b64(text: str | bytes) -> str:
    """Encode."""
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


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
    assert inspect(event(value)).refused == label


@pytest.mark.parametrize(
    "raw", [b'{"a": "\\ud800"}', b'{"a": "x\xff<"}', b'{"a": "\\udc00\\ud800"}']
)
def test_texts_that_are_no_unicode_are_refused(raw: bytes) -> None:
    assert inspect(raw).refused == inspection.ENCODING


def test_operators_are_refused_where_a_contract_does_not_name_them() -> None:
    raw = event({"user": {"$ne": None}})
    assert inspect(raw).refused is None
    assert inspect(raw).labels["operator-key"] == 1
    assert inspect(raw, b'{"properties": {"user": {"type": "string"}}}').refused == "operator-key"
    assert inspect(raw, b'{"properties": {"user": {"properties": {"$ne": {}}}}}').refused is None


def test_a_contract_can_allow_null_bytes_and_names() -> None:
    assert inspect(event({"a": "x\x00"}), rb'{"pattern": "^[^\u0000]*\u0000$"}').refused is None
    assert inspect(event({"__proto__": 1}), b'{"properties": {"__proto__": {}}}').refused is None


HOSTILE = {
    "sql": "' OR 1=1 --",
    "command": "x; cat /etc/hosts",
    "path": "../../etc/passwd",
    "template": "{{7*7}}",
    "code": "__import__('os').system('id')",
    "markup": "<script>alert(1)</script>",
    "xml-entity": "<!DOCTYPE r [<!ENTITY x SYSTEM 'file:///x'>]>",
    "ldap": "*)(uid=*",
    "address": "http://169.254.169.254/latest/",
    "line-break": "x\r\nSet-Cookie: a=b",
}


@pytest.mark.parametrize("label", HOSTILE)
@pytest.mark.parametrize(
    "form",
    [
        "plain",
        "json",
        "base64",
        "url",
        "double url",
        "gzip",
        "dynamodb",
        "form",
        "jwt",
        "multipart",
    ],
)
def test_hostile_texts_are_labelled_in_every_form(label: str, form: str) -> None:
    text = HOSTILE[label]
    forms: dict[str, object] = {
        "plain": {"q": text},
        "json": {"body": json.dumps({"q": text})},
        "base64": {"data": b64("a longer text before: " + text)},
        "url": {"key": quote(text, safe="")},
        "double url": {"key": quote(quote(text, safe=""), safe="")},
        "gzip": {"data": b64(gzip.compress(("some text\n" + text).encode(), mtime=0))},
        "dynamodb": {"Item": {"q": {"M": {"x": {"L": [{"S": text}]}}}}},
        "form": {"body": "a=1&q=" + quote(text, safe="")},
        "jwt": {
            "authorization": "Bearer "
            + ".".join(
                base64.urlsafe_b64encode(part.encode()).decode().rstrip("=")
                for part in ('{"alg":"HS256"}', json.dumps({"sub": text}), "signature")
            )
        },
        "multipart": {
            "body": f'--b\r\nContent-Disposition: form-data; name="q"\r\n\r\n{text}\r\n--b--'
        },
    }
    found = inspect(event(forms[form]))
    assert found.labels.get(label), found
    assert found.refused is None


def test_full_width_forms_are_labelled() -> None:
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in "' UNION SELECT a")
    assert inspect(event({"q": wide})).labels.get("sql")


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
def test_usual_events_are_let_through_without_labels(value: object) -> None:
    found = inspect(event(value))
    assert found.refused is None
    assert not found.labels


def test_labels_hold_numbers_and_never_content() -> None:
    found = inspect(event({"secret-key-name": "' OR 1=1 --", "b": "' or 'a'='a"}))
    assert found.labels == {"sql": 2}


def test_bounds_are_kept() -> None:
    text = "<"
    for _ in range(12):
        text = json.dumps(text)
    before = time.process_time()
    inspect(event(text))
    many = inspect(event(["<a>"] * 50_000))
    assert many.labels["unseen"] == 1
    bomb = b64(gzip.compress(b"<" * (20 << 20)))
    inspect(event({"a": bomb}))
    assert time.process_time() - before < 10


def test_an_event_without_anything_remarkable_is_not_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def decode(_: bytes) -> object:
        raise AssertionError("decoded")

    monkeypatch.setattr(inspection, "_decode", decode)
    assert 900 < len(PLAIN) < 1200
    assert inspect(PLAIN) == ({}, None)


def test_counts_are_kept_by_function() -> None:
    inspector = Inspector()
    assert inspector.inspect("p", "f", event({"q": "{{7*7}}"})) is None
    assert inspector.inspect("p", "f", event({"q": ["{{7*7}}", "../x"]})) is None
    assert inspector.inspect("p", "g", PLAIN) is None
    assert inspector.counts("p", "f") == {"template": 2, "path": 1}
    assert inspector.counts("p", "g") == {}
    assert inspector.inspect("p", "f", event({"a": "\x00"})) == "a text holds a null byte"


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
    found = inspect(event(value))
    assert found.refused in (None, inspection.PROTOTYPE)


@given(st.binary(max_size=60))
def test_no_bytes_make_it_fail(data: bytes) -> None:
    inspect(data)
