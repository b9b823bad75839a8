"""An instance's answer is hostile until checked: what could harm a client is never sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.model.http import HttpResponse
from casemate.seal import answer
from casemate.seal.answer import AnswerError, response
from casemate.triggers.http_server.response_head import encode_head


def head(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def headers(*pairs: tuple[str, str]) -> bytes:
    return head(headers=pairs)


def test_an_empty_head_is_json() -> None:
    answer = response(b"{}", b'{"a":1}')
    assert (answer.status, answer.body) == (200, b'{"a":1}')
    assert answer.headers == ((b"content-type", b"application/json"),)


def test_a_type_is_the_content_type() -> None:
    answer = response(head(type="application/octet-stream"), b"\x00\xff")
    assert answer.headers == ((b"content-type", b"application/octet-stream"),)
    assert answer.body == b"\x00\xff"


def test_status_and_headers_are_taken_over_in_order_and_in_lower_case() -> None:
    given = [["X-A", "1"], ["Set-Cookie", "a=b"], ["set-cookie", "c=d"], ["Content-Type", "a/b"]]
    answer = response(head(status=201, headers=given), b"x")
    assert answer == HttpResponse(
        201,
        (
            (b"x-a", b"1"),
            (b"set-cookie", b"a=b"),
            (b"set-cookie", b"c=d"),
            (b"content-type", b"a/b"),
        ),
        b"x",
    )


@pytest.mark.parametrize("status", [200, 204, 301, 404, 418, 500, 599])
def test_every_final_status_can_be_sent(status: int) -> None:
    assert response(head(status=status, headers=[]), b"").status == status


@pytest.mark.parametrize(
    "status",
    [
        0,
        -200,
        1,
        99,
        100,
        101,
        199,
        600,
        999,
        2**31,
        2**63,
        2**64,
        10**400,
        200.5,
        "200",
        None,
        True,
        [],
        {},
    ],
)
def test_a_status_that_is_none_is_refused(status: object) -> None:
    with pytest.raises(AnswerError):
        response(head(status=status), b"")


@pytest.mark.parametrize(
    "value",
    [
        "a\r\nset-cookie: x",
        "a\nb",
        "a\rb",
        "\r\n\r\n<html>",
        "a\x00b",
        "\x1b[2J",
        "\x7f",
        "a\x0bb",
        "\u2028",
        "\u0100",
        "\ud7ff",
        "snowman \u2603",
        "\u560d\u560a",
    ],
)
def test_values_that_could_split_a_response_are_refused(value: str) -> None:
    for hostile in (
        headers(("x-a", value)),
        headers(("x-a", "b"), ("x-c", value)),
        head(type=value),
    ):
        with pytest.raises(AnswerError):
            response(hostile, b"")


@pytest.mark.parametrize("value", ["", "a b", "caf\u00e9", "\u00ff\u0080", "a\tb", "x" * 8192])
def test_values_of_iso_8859_1_are_sent(value: str) -> None:
    assert response(headers(("x-a", value)), b"").headers == ((b"x-a", value.encode("latin-1")),)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        "a:",
        ":",
        "a\r\nb",
        "a\n",
        "a\x00",
        "caf\u00e9",
        "\u212a",
        "(a)",
        "a;",
        "a,b",
        '"a"',
        "a/b",
        "a=b",
        "[a]",
        "{a}",
        "a\\b",
        "<a>",
        "a@b",
        "a?b",
        "x" * 257,
    ],
)
def test_names_that_are_no_tokens_are_refused(name: str) -> None:
    with pytest.raises(AnswerError):
        response(headers((name, "v")), b"")


@pytest.mark.parametrize(
    "name",
    [
        "connection",
        "content-length",
        "keep-alive",
        "proxy-authenticate",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "date",
        "server",
        "x-request-id",
    ],
)
def test_headers_of_the_connection_and_of_the_node_are_dropped(name: str) -> None:
    for spelled in (name, name.upper(), name.title()):
        answer = response(headers((spelled, "1"), ("x-a", "b")), b"")
        assert answer.headers == ((b"x-a", b"b"),)


def test_a_dropped_header_still_counts() -> None:
    with pytest.raises(AnswerError, match="headers"):
        response(headers(*(("te", "x" * 1000) for _ in range(40))), b"")


def test_the_number_of_headers_is_bounded() -> None:
    assert len(response(headers(*((f"x-{n}", "v") for n in range(100))), b"").headers) == 100
    with pytest.raises(AnswerError, match="101 headers"):
        response(headers(*((f"x-{n}", "v") for n in range(101))), b"")


def test_the_size_of_headers_is_bounded_exactly() -> None:
    fitting = 32 * 1024 - len("x-a")
    assert response(headers(("x-a", "v" * fitting)), b"").headers[0][1] == b"v" * fitting
    with pytest.raises(AnswerError, match="bytes of headers"):
        response(headers(("x-a", "v" * (fitting + 1))), b"")


def test_the_size_of_the_type_is_bounded_as_well() -> None:
    with pytest.raises(AnswerError, match="bytes of headers"):
        response(head(type="a" * (33 * 1024)), b"")


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b'"a"',
        b"1",
        b"{",
        b"{}x",
        b"{}{}",
        b"\xff",
        b'{"status":200,"status":}',
        b'{"unknown":1}',
        b'{"status":200,"body":"x"}',
        b'{"headers":{"a":"b"}}',
        b'{"headers":[["a"]]}',
        b'{"headers":[["a","b","c"]]}',
        b'{"headers":[["a",1]]}',
        b'{"headers":[[1,"b"]]}',
        b'{"headers":[["a",null]]}',
        b'{"headers":null}',
        b'{"type":null}',
        b'{"type":"\\ud800"}',
        b'{"type":"\xff"}',
        b'{"headers":[["a","\xff"]]}',
        b"[" * 100_000,
        b'{"headers":' + b"[" * 100_000,
        b'{"\x00":1}',
    ],
)
def test_malformed_heads_are_refused(given: bytes) -> None:
    with pytest.raises(AnswerError):
        response(given, b"")


@given(st.binary(max_size=64))
def test_arbitrary_bytes_are_refused_or_answered(given: bytes) -> None:
    try:
        answer = response(given, b"")
    except AnswerError:
        return
    assert 200 <= answer.status <= 599


@given(
    st.integers(0, 700),
    st.lists(st.tuples(st.text(max_size=12), st.text(max_size=20)), max_size=4),
    st.text(max_size=12),
)
def test_what_passes_can_be_written_by_the_server_and_cannot_split_it(
    status: int, pairs: list[tuple[str, str]], kind: str
) -> None:
    try:
        answer = response(head(status=status, headers=pairs, type=kind), b"body")
    except AnswerError:
        return
    written = encode_head(answer, b"date: now\r\n", b"content-length: 4\r\n")
    lines = written.split(b"\r\n")
    assert written.count(b"\r") == written.count(b"\n") == len(lines) - 1
    assert sum(line.startswith(b"content-length:") for line in lines) == 1
    assert sum(line.startswith(b"date:") for line in lines) == 1
    assert not any(line.startswith((b"transfer-encoding", b"connection")) for line in lines)


@pytest.mark.parametrize("name", ["Location", "content-location"])
@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("/größe?a=1&b=%20#x", b"/gr%C3%B6%C3%9Fe?a=1&b=%20#x"),
        ("https://a.example/€/日", b"https://a.example/%E2%82%AC/%E6%97%A5"),
        ("/\x85\u2028", b"/%C2%85%E2%80%A8"),
        ("/a b'(~)\"", b"/a b'(~)\""),
    ],
)
def test_an_address_goes_out_as_a_uri(name: str, value: str, sent: bytes) -> None:
    assert response(headers((name, value)), b"").headers == ((name.lower().encode(), sent),)


def test_an_address_has_no_line_of_its_own_and_counts_as_it_is_sent() -> None:
    with pytest.raises(AnswerError, match="control characters"):
        response(headers(("location", "/ä\r\nset-cookie: a=b")), b"")
    with pytest.raises(AnswerError, match="bytes of headers"):
        response(headers(("location", "€" * 4000)), b"")


def test_an_address_that_is_too_long_is_refused_before_it_is_encoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def encoded(_value: str) -> str:
        raise AssertionError("megabytes are encoded on the event loop")

    monkeypatch.setattr(answer, "_uri", encoded)
    with pytest.raises(AnswerError, match="bytes of headers"):
        response(headers(("location", "ä" * (6 << 20))), b"")


def test_another_header_that_cannot_be_sent_is_told_with_what_can() -> None:
    assert response(headers(("x-name", "ä")), b"").headers == ((b"x-name", b"\xe4"),)
    with pytest.raises(AnswerError, match="percent-encode"):
        response(headers(("x-name", "€")), b"")
