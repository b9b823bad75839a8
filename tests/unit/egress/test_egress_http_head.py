"""Heads are read strictly: what two parsers could take differently is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.egress.errors import RequestRefusedError
from casemate.egress.http_head import (
    IN_CHUNKS,
    NO_BODY,
    UNTIL_CLOSE,
    Body,
    Fields,
    parse_request_head,
    parse_response_head,
    parse_trailers,
    render,
)

LINE = b"GET http://a.com/ HTTP/1.1\r\n"


def fields(*lines: str) -> bytes:
    return LINE + "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n"


def test_a_request() -> None:
    head = parse_request_head(fields("Host: a.com", "X-Y:  caf\xe9\t", "X-Y:"))
    assert (head.method, head.target, head.minor) == ("GET", "http://a.com/", 1)
    assert head.fields.all == (("Host", "a.com"), ("X-Y", "caf\xe9"), ("X-Y", ""))
    assert head.fields.values("x-y") == ["caf\xe9", ""]
    assert head.body == NO_BODY


@pytest.mark.parametrize(
    "first",
    [
        b"GET  http://a.com/ HTTP/1.1",
        b"GET http://a.com/ HTTP/1.1 ",
        b" GET http://a.com/ HTTP/1.1",
        b"GET http://a.com/\tHTTP/1.1",
        b"GET http://a.com/a b HTTP/1.1",
        b"GET http://a.com/ HTTP/2.0",
        b"GET http://a.com/ http/1.1",
        b"GET http://a.com/",
        b"GET http://a.com/\x00 HTTP/1.1",
        b"GET http://a.com/\xc3\xa9 HTTP/1.1",
        b"G(T http://a.com/ HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"",
        b"GET http://a.com/ HTTP/1.1\nHost: b.com",
        b"GET http://a.com/ HTTP/1.1\rHost: b.com",
    ],
)
def test_other_request_lines_are_refused(first: bytes) -> None:
    with pytest.raises(RequestRefusedError):
        parse_request_head(first + b"\r\nHost: a.com\r\n\r\n")


@pytest.mark.parametrize(
    "line",
    [
        "Host : a.com",
        " Host: a.com",
        "\tfolded",
        "Host",
        ": a.com",
        "Ho st: a.com",
        "X: a\x00b",
        "X: a\x7fb",
        "X: a\nHost: b.com",
        "X: a\rHost: b.com",
        "H\xf6st: a.com",
    ],
)
def test_other_field_lines_are_refused(line: str) -> None:
    with pytest.raises(RequestRefusedError):
        parse_request_head(fields("Host: a.com", line))


def test_there_are_not_too_many_fields() -> None:
    with pytest.raises(RequestRefusedError) as caught:
        parse_request_head(fields(*["X: y"] * 129))
    assert caught.value.status == 431


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (["Content-Length: 0"], Body(0)),
        (["content-length: 12"], Body(12)),
        (["Transfer-Encoding: chunked"], IN_CHUNKS),
        (["Transfer-Encoding: Chunked"], IN_CHUNKS),
    ],
)
def test_lengths(lines: list[str], body: Body) -> None:
    assert parse_request_head(fields(*lines)).body == body


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 1", "Transfer-Encoding: chunked"],
        ["Content-Length: 1", "Content-Length: 1"],
        ["Content-Length: 1", "Content-Length: 2"],
        ["Content-Length: 1, 1"],
        ["Content-Length: +1"],
        ["Content-Length: -1"],
        ["Content-Length: 0x1"],
        ["Content-Length: 1_0"],
        ["Content-Length: 1 2"],
        ["Content-Length: \xb2"],
        ["Content-Length:"],
        ["Content-Length: 1000000000000000000000"],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: chunked, identity"],
        ["Transfer-Encoding: identity"],
        ["Transfer-Encoding: xchunked"],
        ["Transfer-Encoding: chunked;q=1"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: \x0bchunked"],
        ["Transfer-Encoding:"],
    ],
)
def test_ambiguous_lengths_are_refused(lines: list[str]) -> None:
    with pytest.raises(RequestRefusedError):
        _ = parse_request_head(fields(*lines)).body


def test_http_1_0_has_no_chunks() -> None:
    raw = b"POST http://a.com/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"
    with pytest.raises(RequestRefusedError):
        _ = parse_request_head(raw).body


def test_hop_by_hop_fields_stay_here() -> None:
    head = Fields(
        (
            ("Connection", "X-Private, close"),
            ("Proxy-Connection", "keep-alive"),
            ("Proxy-Authorization", "Basic Og=="),
            ("Keep-Alive", "5"),
            ("TE", "trailers"),
            ("Upgrade", "h2c"),
            ("Transfer-Encoding", "chunked"),
            ("X-Private", "1"),
            ("Authorization", "Bearer t"),
            ("Cookie", "a=b"),
        )
    )
    assert head.end_to_end() == [("Authorization", "Bearer t"), ("Cookie", "a=b")]


@pytest.mark.parametrize("name", ["Host", "content-length", "Authorization", "Transfer-Encoding"])
def test_a_connection_field_takes_nothing_away_that_matters(name: str) -> None:
    with pytest.raises(RequestRefusedError):
        Fields((("Connection", f"close, {name}"),)).end_to_end()


def test_a_response() -> None:
    head = parse_response_head(b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\n")
    assert (head.status, head.reason, head.minor) == (404, "Not Found", 1)
    assert head.body("GET") == Body(3)
    assert head.body("HEAD") == NO_BODY
    assert parse_response_head(b"HTTP/1.0 200\r\n\r\n").body("GET") == UNTIL_CLOSE
    for status in (100, 204, 304):
        assert parse_response_head(b"HTTP/1.1 %d X\r\n\r\n" % status).body("GET") == NO_BODY


@pytest.mark.parametrize(
    "first", [b"HTTP/1.1 20 OK", b"HTTP/1.1 600 X", b"ICY 200 OK", b"HTTP/1.1  200 OK", b"x"]
)
def test_other_status_lines_are_refused(first: bytes) -> None:
    with pytest.raises(RequestRefusedError):
        parse_response_head(first + b"\r\n\r\n")


def test_trailers_frame_and_route_nothing() -> None:
    assert parse_trailers(["X-Checksum: 1"]).all == (("X-Checksum", "1"),)
    for name in ("Content-Length", "Host", "Transfer-Encoding", "Connection", "Authorization"):
        with pytest.raises(RequestRefusedError):
            parse_trailers([f"{name}: 1"])


@given(st.binary(max_size=200))
def test_what_passes_is_one_head_only(raw: bytes) -> None:
    """Written out again, it is the same head, and holds no line end but the ones between fields."""
    try:
        head = parse_request_head(LINE + raw + b"\r\n\r\n")
    except RequestRefusedError:
        return
    again = render("GET http://a.com/ HTTP/1.1", list(head.fields.all))
    assert again.count(b"\r\n") == len(head.fields.all) + 2
    assert again.count(b"\n") == again.count(b"\r") == again.count(b"\r\n")
    assert parse_request_head(again).fields.all == head.fields.all
