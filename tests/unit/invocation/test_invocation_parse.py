"""Stage 1: what is not well-formed JSON within its limits goes no further."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from casemate.decoding import MAX_DIGITS
from casemate.invocation.parse import MAX_DEPTH, parse
from casemate.model.invocation import Outcome
from casemate.model.path import RefusedError
from support.core import raw


def refusal(**changes: Any) -> RefusedError:
    with pytest.raises(RefusedError) as refused:
        parse(raw(**changes))
    assert refused.value.outcome is Outcome.INVALID
    return refused.value


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        " application/json ;x",
        "application/merge-patch+json",
        "application/vnd.api+json; v=1",
    ],
)
def test_json_types_are_taken(content_type: str) -> None:
    given = raw(content_type=content_type, body=b' {"a": [1, null]} ')
    request = parse(given)
    assert request.event == given.body
    assert request.raw is given
    assert request.id.startswith("inv_")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/json",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=application/json",
        "application/jsonp",
        "application/json,text/html",
        "application/json+xml",
        "json",
        "*/*",
        "\x00",
        "x; a=application/json",
    ],
)
def test_other_types_are_refused_whatever_the_body(content_type: str) -> None:
    for body in (b"{}", b"", b"planted"):
        error = refusal(content_type=content_type, body=body)
        assert error.status == 415


def test_an_empty_body_is_null() -> None:
    assert parse(raw(body=b"")).event == b"null"


MALFORMED = {
    "white space": b" \n",
    "open object": b'{"a":1',
    "open array": b"[1,",
    "open string": b'"abc',
    "trailing comma": b"[1,]",
    "trailing text": b"{} x",
    "two documents": b"{}{}",
    "single quotes": b"{'a':1}",
    "bare key": b"{a:1}",
    "comment": b"/**/{}",
    "NaN": b"NaN",
    "infinity": b"[-Infinity]",
    "leading zero": b"01",
    "plus": b"+1",
    "hex": b"0x1",
    "bare point": b"1.",
    "huge exponent": b"1e999",
    "BOM": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "UTF-32": "{}".encode("utf-32-le"),
    "latin-1": '{"a":"\u00e9"}'.encode("latin-1"),
    "overlong": b'"\xc0\xaf"',
    "cut sequence": b'"\xe2\x82"',
    "encoded surrogate": b'"\xed\xa0\x80"',
    "above Unicode": b'"\xf5\x80\x80\x80"',
    "broken key": b'{"\xff":1}',
    "lone surrogate": b'"\\ud800"',
    "reversed surrogates": b'"\\udc00\\ud800"',
    "bad escape": b'"\\x41"',
    "short escape": b'"\\u12"',
    "raw newline": b'"a\nb"',
    "raw NUL": b'"a\x00b"',
    "NUL": b"\x00",
    "pickle": b"\x80\x04N.",
    "gzip": b"\x1f\x8b\x08\x00",
    "form": b"a=1&b=2",
    "100,000 arrays": b"[" * 100_000,
    "100,000 closed arrays": b"[" * 100_000 + b"]" * 100_000,
    "100,000 objects": b'{"a":' * 100_000,
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_json_is_refused_with_a_fixed_text(body: bytes) -> None:
    assert refusal(body=body).message == "The body is not valid JSON (RFC 8259) in UTF-8."


def test_a_repeated_name_is_passed_on_as_it_came() -> None:
    # Both ends take the last one; the contract is what forbids it.
    body = b'{"a":1,"a":2}'
    assert parse(raw(body=body)).event == body
    assert json.loads(body) == {"a": 2}


@pytest.mark.parametrize("digits", [1, 19, 20, 4299, 4300, 4301, 5000])
def test_a_number_that_passes_can_be_read_by_the_runner(digits: int) -> None:
    body = b"9" * digits
    try:
        request = parse(raw(body=body))
    except RefusedError:
        return
    assert json.loads(request.event.decode()) == int(body)


def test_a_number_of_many_digits_is_refused_by_name() -> None:
    """What it takes to read grows with their square, and nothing gives up the event loop."""
    longest = b"[%s]" % (b"9" * MAX_DIGITS)
    assert parse(raw(body=longest)).event == longest
    for body in (b"[9%s]" % (b"9" * MAX_DIGITS), b"-1.%s" % (b"1" * 5000)):
        assert refusal(body=body).message == f"A number has more than {MAX_DIGITS:,} digits."
    text = b'["%s"]' % (b"9" * 5000)
    assert parse(raw(body=text)).event == text


@given(st.binary(max_size=40))
@example(b'"\\u0000"')
@example(b"-0")
@example(b"[1E+2]")
def test_what_passes_is_json_for_the_runner_too(body: bytes) -> None:
    try:
        event = parse(raw(body=body)).event
    except RefusedError:
        return
    json.loads(event.decode())


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON, st.booleans())
def test_every_json_value_is_taken(value: Any, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert json.loads(parse(raw(body=body)).event) == value


def depth_of(value: Any) -> int:
    """Return the levels of arrays and objects in a value: the plain reference."""
    deepest, todo = 0, [(value, 0)]
    while todo:
        one, above = todo.pop()
        if isinstance(one, (list, dict)):
            deepest = max(deepest, above + 1)
            todo += [(v, above + 1) for v in (one.values() if isinstance(one, dict) else one)]
    return deepest


BRACKETS = st.text(alphabet='[]{}"\\,:a\u00e9', max_size=8)


@given(
    core=st.recursive(BRACKETS, lambda v: st.lists(v, max_size=3), max_leaves=6),
    wraps=st.lists(st.sampled_from(["list", "dict", "pair"]), min_size=58, max_size=70),
    key=BRACKETS,
    spread=st.integers(0, 70),
)
def test_the_depth_is_bounded_exactly(core: Any, wraps: list[str], key: str, spread: int) -> None:
    value = core
    for wrap in wraps:
        value = {"list": [value], "dict": {key: value}, "pair": [key, value, []]}[wrap]
    value = [value, [[] for _ in range(spread)]] if spread % 2 else value
    body = json.dumps(value).encode()
    if depth_of(value) <= MAX_DEPTH:
        assert parse(raw(body=body)).event == body
    else:
        assert "64 levels" in refusal(body=body).message


@pytest.mark.parametrize(("levels", "passes"), [(63, True), (64, True), (65, False), (200, False)])
@pytest.mark.parametrize("kind", ["[]", "{}"])
def test_the_edge_of_the_depth(levels: int, passes: bool, kind: str) -> None:
    body = b"[" * levels + b"]" * levels
    if kind == "{}":
        body = b'{"":' * (levels - 1) + b"{}" + b"}" * (levels - 1)
    if passes:
        parse(raw(body=body))
    else:
        refusal(body=body)


def test_many_shallow_levels_pass() -> None:
    parse(raw(body=b"[" + b",".join([b"[{}]"] * 10_000) + b"]"))
    parse(raw(body=b'"' + b"[" * 10_000 + b'"'))
    parse(raw(body=b'"\\"' + b"[" * 10_000 + b'"'))


def test_a_trigger_s_event_is_encoded_and_its_body_not_parsed() -> None:
    event: dict[str, object] = {"body": "\u00e9", "query": {"a": ["1"]}, "is_base64": False}
    request = parse(raw(event=event, body=b"\xff", content_type="text/plain"))
    assert json.loads(request.event) == event


@given(st.binary(max_size=30), st.text(max_size=10))
def test_a_refusal_quotes_nothing(body: bytes, content_type: str) -> None:
    planted = b"s3cr3t" + body
    try:
        parse(raw(body=planted, content_type=content_type))
    except RefusedError as error:
        assert "s3cr3t" not in str(error)
        assert error.failure is None
