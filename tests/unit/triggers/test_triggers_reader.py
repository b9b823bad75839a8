"""Requests from bytes, without sockets: splits, limits, and llhttp as a second opinion."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.model.http import UNKNOWN_LIMIT
from casemate.triggers.http_server.chunked import FORBIDDEN_TRAILERS, ChunkedBody
from casemate.triggers.http_server.limits import HttpLimits
from casemate.triggers.http_server.request_head import (
    CHUNKED,
    RequestRefusedError,
    parse_head,
    too_large,
)
from casemate.triggers.http_server.request_reader import RequestReader
from casemate.triggers.http_server.target import InvalidTargetError, split_target

LIMITS = HttpLimits(header_bytes=300, target_bytes=60, header_count=8)
BODY = 50


def read_all(pieces: list[bytes]) -> list[object]:
    """Return everything a connection would see: requests, then perhaps a refusal or a rest."""
    reader = RequestReader(LIMITS)
    seen: list[object] = []
    head = None
    for piece in pieces:
        reader.feed(piece)
        try:
            while True:
                if head is None:
                    head = reader.read_head("peer")
                    if head is None:
                        break
                    reader.begin_body(head.length, BODY)
                body = reader.read_body()
                if body is None:
                    break
                seen.append((head, body))
                head = None
        except RequestRefusedError as refusal:
            seen.append((refusal.status, refusal.message))
            return seen
    seen.append(("unfinished", head is not None, reader.begun))
    return seen


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if b > a]


VALID = [
    b"GET /a?b=c HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    b"PUT /%41 HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nExpect: 100-continue\r\n\r\n",
    b"GET http://h:1/p HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
]
NOISE = [b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"0", b"Content-Length: 3\r\n", b"a" * 70]


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """A few valid requests with a few mutations."""
    data = bytearray(b"".join(draw(st.lists(st.sampled_from(VALID), min_size=1, max_size=4))))
    for _ in range(draw(st.integers(0, 3))):
        position = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.sampled_from(["insert", "replace", "delete", "repeat"]))
        if kind == "insert":
            data[position:position] = draw(st.sampled_from(NOISE))
        elif kind == "replace":
            data[position : position + 1] = bytes([draw(st.integers(0, 255))])
        elif kind == "delete":
            del data[position : position + draw(st.integers(1, 10))]
        else:
            data[position:position] = data[position : position + draw(st.integers(1, 400))]
    return bytes(data)


CUTS = st.lists(st.integers(0, 2000), max_size=12)


@settings(max_examples=400, deadline=None)
@given(streams(), CUTS)
def test_results_do_not_depend_on_how_bytes_are_split(data: bytes, cuts: list[int]) -> None:
    whole = read_all([data])
    assert read_all(split(data, cuts)) == whole
    assert read_all([bytes([byte]) for byte in data]) == whole


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=500), CUTS)
def test_arbitrary_bytes_give_a_result_and_no_other_error(data: bytes, cuts: list[int]) -> None:
    assert read_all(split(data, cuts)) == read_all([data])


def test_all_valid_samples_are_accepted() -> None:
    *requests, end = read_all([b"".join(VALID)])
    assert len(requests) == len(VALID)
    assert end == ("unfinished", False, False)


class _Peer:
    """What llhttp makes of a chunked body."""

    def __init__(self) -> None:
        self.body = b""
        self.done = 0

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.done += 1


def llhttp(body: bytes) -> bytes | None:
    """Return the body as llhttp decodes it, None if it refuses or wants more."""
    peer = _Peer()
    parser = httptools.HttpRequestParser(peer)
    parser.feed_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    try:
        for byte in body:
            parser.feed_data(bytes([byte]))
            if peer.done:
                break
    except httptools.HttpParserError:
        return None
    return peer.body if peer.done else None


CHUNKS = [
    b"3\r\nabc\r\n",
    b"A\r\n0123456789\r\n",
    b"1;a=b\r\nx\r\n",
    b"0\r\n",
    b"\r\n",
    b"T: v\r\n",
    b"0\r\nContent-Length: 3\r\n",
    b"0\r\nTransfer-Encoding: chunked\r\n",
]


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from(CHUNKS), st.sampled_from(NOISE)), max_size=6),
    CUTS,
)
def test_the_chunked_decoder_accepts_nothing_that_llhttp_reads_otherwise(
    parts: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(parts) + b"0\r\n\r\n"
    decoder = ChunkedBody(1000)
    rest = b""
    try:
        for piece in split(data, cuts):
            rest += piece
            rest = rest[decoder.feed(rest) :]
    except RequestRefusedError:
        return
    if decoder.done:
        assert decoder.body() == llhttp(data)


FIELD_NAMES = st.one_of(
    st.sampled_from(sorted(FORBIDDEN_TRAILERS)),
    st.sampled_from([b"X-Forwarded-For", b"Proxy-Anything", b"ETag", b"Server-Timing", b"T"]),
)
FIELDS = st.tuples(
    FIELD_NAMES,
    st.sampled_from([bytes.lower, bytes.upper, bytes.title]),
    st.sampled_from([b":", b": ", b":\t", b" :"]),
    st.sampled_from([b"", b"3", b"0", b"chunked", b"close", b"upgrade", b"a, b"]),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(FIELDS, min_size=1, max_size=4), CUTS)
def test_trailers_are_read_as_llhttp_reads_them_or_refused(
    fields: list[tuple[bytes, Callable[[bytes], bytes], bytes, bytes]], cuts: list[int]
) -> None:
    """Whoever reads one of these as a field of the head reads another request than we do."""
    lines = [spelt(name) + colon + value + b"\r\n" for name, spelt, colon, value in fields]
    data = b"1\r\nx\r\n0\r\n" + b"".join(lines) + b"\r\n"
    decoder = ChunkedBody(1000)
    rest = b""
    forbidden = any(
        name.lower() in FORBIDDEN_TRAILERS or name[:2] in (b"X-", b"Pr") for name, *_ in fields
    )
    try:
        for piece in split(data, cuts):
            rest += piece
            rest = rest[decoder.feed(rest) :]
    except RequestRefusedError as refusal:
        assert refusal.status == 400
        assert forbidden or any(colon == b" :" for _, _, colon, _ in fields)
        return
    assert not forbidden
    assert decoder.done
    assert decoder.body() == llhttp(data) == b"x"


@pytest.mark.parametrize("name", sorted(FORBIDDEN_TRAILERS))
def test_no_trailer_holds_what_belongs_into_the_head(name: bytes) -> None:
    with pytest.raises(RequestRefusedError, match="no trailer may hold"):
        ChunkedBody(10).feed(b"0\r\n" + name.title() + b": 3\r\n\r\n")


def test_the_decoder_stops_exactly_at_the_end() -> None:
    decoder = ChunkedBody(10)
    data = b"2\r\nab\r\n0\r\n\r\nGET / HTTP/1.1"
    assert data[decoder.feed(data) :] == b"GET / HTTP/1.1"
    assert decoder.done
    assert decoder.body() == b"ab"
    assert decoder.feed(b"more") == 0


@pytest.mark.parametrize("size", [9, 10, 11])
def test_the_limit_of_a_chunked_body_is_exact(size: int) -> None:
    decoder = ChunkedBody(10)
    data = b"4\r\nabcd\r\n%x\r\n" % (size - 4) + b"x" * (size - 4) + b"\r\n0\r\n\r\n"
    if size <= 10:
        decoder.feed(data)
        assert decoder.size == size
    else:
        with pytest.raises(RequestRefusedError, match="too large") as caught:
            decoder.feed(data)
        assert caught.value.status == 413


def test_who_may_send_little_is_told_why() -> None:
    assert "without a valid token" in str(too_large(UNKNOWN_LIMIT))
    assert "token" not in str(too_large(UNKNOWN_LIMIT + 1))


def test_heads_at_the_limits_are_accepted() -> None:
    target = b"/" + b"a" * (LIMITS.target_bytes - 1)
    head = b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n"
    head += b"A: b\r\n" * (LIMITS.header_count - 1)
    head += b"A: " + b"c" * 10 + b"\r\n\r\n"
    with pytest.raises(RequestRefusedError, match="too many"):
        parse_head(head, "", LIMITS)
    fits = head.replace(b"A: b\r\n", b"", 1)
    assert len(parse_head(fits, "", LIMITS).head.headers) == LIMITS.header_count
    padded = fits.replace(b"c" * 10, b"c" * (10 + LIMITS.header_bytes - len(fits)))
    assert len(padded) == LIMITS.header_bytes
    assert len(read_all([padded])) == 2
    longer = padded.replace(b"cc", b"ccc", 1)
    assert read_all([longer])[0] == (431, "The request head is too large.")


def test_a_head_says_what_it_is() -> None:
    parsed = parse_head(
        b"POST /a?b HTTP/1.1\r\nHOST: h\r\nX-Y:  z \t\r\nx-y: 2\r\n"
        b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        "1.2.3.4",
        HttpLimits(),
    )
    assert parsed.length == CHUNKED
    assert (parsed.keep_alive, parsed.http10, parsed.expects_continue) == (False, False, True)
    assert parsed.head.method == "POST"
    assert (parsed.head.path, parsed.head.query, parsed.head.peer) == ("/a", "b", "1.2.3.4")
    assert parsed.head.headers[:3] == ((b"host", b"h"), (b"x-y", b"z"), (b"x-y", b"2"))


@pytest.mark.parametrize("evil", [b"a" * 8000 + b'"', b"%41" * 2600 + b"%", b"?" * 8000 + b"#"])
def test_matching_a_target_takes_linear_time(evil: bytes) -> None:
    with pytest.raises(InvalidTargetError):
        split_target(b"/" + evil)


@settings(max_examples=200)
@given(st.binary(max_size=60))
def test_a_target_is_split_without_loss_or_refused(tail: bytes) -> None:
    try:
        path, query, authority = split_target(b"/" + tail)
    except InvalidTargetError:
        return
    assert authority is None
    assert (path + b"?" + query).rstrip(b"?") == (b"/" + tail).rstrip(b"?")
    assert all(0x21 <= byte <= 0x7E for byte in path + query)


# -- the same head again -------------------------------------------------------------------------

POST = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"


def reader_that_knows(head: bytes, limits: HttpLimits = LIMITS) -> RequestReader:
    reader = RequestReader(limits)
    reader.feed(head + b"abc")
    found = reader.read_head("peer")
    assert found is not None
    reader.begin_body(found.length, BODY)
    assert reader.read_body() == b"abc"
    return reader


def test_the_same_bytes_are_read_once() -> None:
    reader = reader_that_knows(POST)
    heads = []
    for head in (POST, POST, POST.replace(b"/a", b"/b"), POST):
        reader.feed(head + b"abc")
        found = reader.read_head("peer")
        assert found is not None and found == parse_head(head, "peer", LIMITS)
        heads.append(found)
        reader.begin_body(found.length, BODY)
        reader.read_body()
    assert heads[0] is heads[1]
    assert heads[2] is not heads[1] and heads[3] is not heads[2]


def test_what_is_known_holds_for_its_peer_only() -> None:
    reader = reader_that_knows(POST)
    reader.feed(POST)
    found = reader.read_head("another")
    assert found is not None and found.head.peer == "another"


def test_a_large_head_is_not_kept() -> None:
    limits = HttpLimits()
    large = POST.replace(b"Host", b"X: " + b"x" * 2048 + b"\r\nHost")
    reader = reader_that_knows(large, limits)
    assert reader.repeated(large + b"abc") is None


@given(st.binary(max_size=6), st.integers(0, len(POST) + 2))
def test_only_a_whole_request_with_that_head_is_a_repeated_one(body: bytes, cut: int) -> None:
    reader = reader_that_knows(POST)
    assert reader.repeated(POST + body) == (body if len(body) == 3 else None)
    part = (POST + b"abc")[:cut]
    assert reader.repeated(part) is None
    changed = bytearray(POST + b"abc")
    if cut < len(POST):
        changed[cut] ^= 1
        assert reader.repeated(bytes(changed)) is None


def test_nothing_is_repeated_behind_what_waits_or_after_the_end() -> None:
    reader = reader_that_knows(POST)
    reader.feed(b"P")
    assert reader.repeated(POST + b"abc") is None
    reader = reader_that_knows(POST)
    reader.feed(b"\r\n")
    assert reader.read_head("peer") is None
    assert reader.repeated(POST + b"abc") is None
    reader = reader_that_knows(POST)
    reader.clear()
    assert reader.repeated(POST + b"abc") is None
    chunked = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    reader = RequestReader(LIMITS)
    reader.feed(chunked + b"0\r\n\r\n")
    assert reader.read_head("peer") is not None
    assert reader.repeated(chunked + b"0\r\n\r\n") is None
    assert reader.repeated(chunked[:-1]) is None


@pytest.mark.parametrize(
    ("head", "hosts"),
    [
        (b"GET http://red.example/p HTTP/1.0\r\n\r\n", [b"red.example"]),
        (b"GET http://red.example:8/p HTTP/1.0\r\nhOST: other\r\n\r\n", [b"red.example:8"]),
        (b"GET http://red.example/p HTTP/1.1\r\nHost: other\r\n\r\n", [b"red.example"]),
        (b"GET /p HTTP/1.0\r\n\r\n", []),
    ],
)
def test_the_host_that_a_target_names_is_the_requests(head: bytes, hosts: list[bytes]) -> None:
    """Whoever is in front decides by it: another project must not answer for it."""
    found = parse_head(head, "", LIMITS).head.headers
    assert [value for name, value in found if name == b"host"] == hosts


def test_a_host_that_only_the_target_names_is_none_where_the_field_has_to_be_there() -> None:
    with pytest.raises(RequestRefusedError, match="no Host"):
        parse_head(b"GET http://red.example/p HTTP/1.1\r\n\r\n", "", LIMITS)
