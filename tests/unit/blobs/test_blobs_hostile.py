"""Stores that answer too much, too late, cut, or something else; each is told by name."""

from __future__ import annotations

import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from casemate.blobs import (
    BlobDamagedError,
    BlobsError,
    BlobsRefusedError,
    BlobsUnreachableError,
    parse_s3_url,
)
from casemate.blobs.errors import BlobSizeError
from casemate.blobs.s3 import S3Blobs, S3Store
from casemate.blobs.s3_client import Limits, S3Client
from support.blob_places import CLUSTER, KEYS
from support.s3_answers import NAME, Answers, Asked, Say, always, answering, listing, plain
from support.servers import reserved_port

QUICK = Limits(request=0.6, connect=0.3, attempts=2)
IDENTITY = plain(200, b'{"format":1,"cluster":"%s"}' % CLUSTER.encode())


def connected(server: Answers, limits: Limits = QUICK) -> S3Client:
    return S3Client(parse_s3_url(server.url), KEYS, limits)


def read(client: S3Client) -> bytes:
    return client.get("k", size=10, start=0, length=10)


def part(body: bytes, told: str, **headers: str) -> bytes:
    return plain(206, body, content_range=told, **headers)


def test_an_answer_as_it_should_be() -> None:
    with answering(always(part(b"0123456789", "bytes 0-9/10"))) as server:
        client = connected(server)
        assert read(client) == read(client) == b"0123456789"
        (first, second) = server.asked
        assert first.target == "/bucket/at/k" and first.headers["range"] == "bytes=0-9"
        assert first.headers["host"] == f"127.0.0.1:{server.port}"
        assert "S3RVER/" in first.headers["authorization"]
        assert len(server._open) == 1  # the second went over the same connection
        assert second.method == "GET"


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (part(b"012345678", "bytes 0-8/10"), BlobDamagedError, "another part"),
        (part(b"0123456789x", "bytes 0-9/10"), BlobDamagedError, "more than was asked"),
        (part(b"0123456789", "bytes 1-10/10"), BlobDamagedError, "another part"),
        (part(b"0123456789", "bytes 0-9/11"), BlobSizeError, "has 11 bytes, expected 10"),
        (part(b"0123456789", "bytes 0-9/*"), BlobSizeError, "expected 10"),
        (part(b"0123456789", "bytes 0-9/" + "9" * 5000), BlobSizeError, "expected 10"),
        (plain(206, b"0123456789"), BlobSizeError, "expected 10"),
        (plain(416, b"", content_range="bytes */3"), BlobSizeError, "has 3 bytes"),
        (plain(200, b"0123456789"), BlobsError, "answers 200 when asked to read, expected 206"),
        (plain(302, b"", location="http://169.254.169.254/"), BlobsRefusedError, "not followed"),
        (
            plain(403, b"<Error><Code>AccessDenied</Code></Error>"),
            BlobsRefusedError,
            "AccessDenied",
        ),
        (plain(403, b"<Code>RequestTimeTooSkewed</Code>"), BlobsRefusedError, "clocks"),
        (plain(400, b"<Code>AuthorizationHeaderMalformed</Code>"), BlobsRefusedError, "region"),
        (plain(404, b"<Code>NoSuchBucket</Code>"), BlobsRefusedError, "NoSuchBucket"),
        (plain(404, b"<Code>NoSuchKey</Code>"), FileNotFoundError, "no such blob"),
        (plain(400, b"<Code>\x1b[2J$(x)</Code>"), BlobsRefusedError, "answers 400 when"),
    ],
)
def test_an_answer_that_is_another(answer: bytes, kind: type[Exception], told: str) -> None:
    with answering(always(answer)) as server:
        with pytest.raises(kind) as caught:
            read(connected(server))
        assert told in str(caught.value)
        assert "S3RVER" not in str(caught.value)
        assert len(server.asked) == 1  # asking again would not help


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0" * 300,
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 206 X\r\n" + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 206 X\r\ncontent-length: 10\r\n\r\n012",
        b"HTTP/1.1 206 X\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 206 X\r\ntransfer-encoding: chunked\r\n\r\n5\r\n012",
        b"HTTP/1.1 206 X\r\ncontent-range: bytes 0-9/10\r\n\r\n012",
        plain(503, b"<Code>SlowDown</Code>"),
        plain(500, b"x" * 10_000),
        plain(429),
    ],
)
def test_what_is_no_answer_is_asked_again_and_then_told(answer: bytes) -> None:
    def say(_asked: Asked, connection: socket.socket) -> None:
        connection.sendall(answer)
        if not answer.startswith((b"HTTP/1.1 5", b"HTTP/1.1 4")):
            connection.shutdown(socket.SHUT_RDWR)

    with answering(say) as server:
        with pytest.raises(BlobsUnreachableError) as caught:
            read(connected(server))
        assert str(server.port) in caught.value.message and caught.value.retryable
        assert len(server.asked) == 2


def test_what_fails_once_works_again() -> None:
    answers = [plain(500), plain(503), part(b"0123456789", "bytes 0-9/10")]

    def say(_asked: Asked, connection: socket.socket) -> None:
        connection.sendall(answers.pop(0))

    with answering(say) as server:
        limits = Limits(request=5.0, connect=1.0, attempts=4)
        assert read(connected(server, limits)) == b"0123456789"


def test_a_connection_that_was_closed_meanwhile() -> None:
    def say(_asked: Asked, connection: socket.socket) -> None:
        connection.sendall(part(b"0123456789", "bytes 0-9/10"))
        connection.shutdown(socket.SHUT_RDWR)

    with answering(say) as server:
        client = connected(server, Limits(request=5.0, connect=1.0, attempts=2))
        for _ in range(3):
            assert read(client) == b"0123456789"


def drip(head: bytes, each: bytes) -> Say:
    def say(_asked: Asked, connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(each)
            time.sleep(0.02)

    return say


@pytest.mark.parametrize(
    "say",
    [
        drip(b"HTTP/1.1 206 X\r\ncontent-length: 100000\r\n\r\n", b"x"),
        drip(b"HTTP/1.1 206 X\r\n", b"a: b\r\n"[:3]),
        drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        drip(b"HTTP/1.1 206 X\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        drip(b"HTTP/1.1 206 X\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"t: x\r\n"),
        lambda _asked, _connection: time.sleep(30),
    ],
)
def test_slow_answers_end_at_the_limit(say: Say) -> None:
    with answering(say) as server:
        client = S3Client(parse_s3_url(server.url), KEYS, Limits(0.4, 0.3, 2))
        began = time.monotonic()
        with pytest.raises((BlobsUnreachableError, BlobsError)):
            client.get("k", size=100_000, start=0, length=100_000)
        assert time.monotonic() - began < 10


def test_a_store_that_is_silent_is_given_up_before_one_that_is_slow() -> None:
    """Before: whoever deployed waited for as long as a slow store may take, a minute."""
    limits = Limits(request=30.0, connect=1.0, attempts=4, silence=0.3)
    with answering(lambda _asked, _connection: time.sleep(30)) as server:
        began = time.monotonic()
        with pytest.raises(BlobsUnreachableError, match="does not answer in time") as caught:
            connected(server, limits).put("k", b"x")
        assert time.monotonic() - began < 20
        assert caught.value.next_step and len(server.asked) == 2

    def say(_asked: Asked, connection: socket.socket) -> None:
        for byte in part(b"0123456789", "bytes 0-9/10"):
            connection.sendall(bytes([byte]))
            time.sleep(0.006)

    with answering(say) as server:
        assert read(connected(server, limits)) == b"0123456789"
        assert len(server.asked) == 1


def test_connections_that_were_left_over_are_tried_once() -> None:
    """What is between may have forgotten all of them without a word."""
    silent = threading.Event()
    old: set[socket.socket] = set()

    def say(_asked: Asked, connection: socket.socket) -> None:
        if silent.is_set() and connection in old:
            time.sleep(30)
        old.add(connection)
        time.sleep(0.1)  # so that several are open at once
        connection.sendall(part(b"0123456789", "bytes 0-9/10"))

    with answering(say) as server:
        client = connected(server, Limits(request=30.0, connect=1.0, attempts=4, silence=0.5))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: read(client), range(4)))
        assert len(old) == 4
        silent.set()
        assert read(client) == b"0123456789"


def test_a_server_that_never_reads() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = parse_s3_url(f"s3://bucket?endpoint=http://127.0.0.1:{server.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(BlobsUnreachableError, match="in time"):
            S3Client(url, KEYS, Limits(0.4, 0.3, 2)).put("k", b"x" * (16 << 20))
        assert time.monotonic() - began < 10


def test_while_a_store_is_away_one_asks_and_the_others_are_told_at_once() -> None:
    """Else all threads for content would wait for it, again and again."""
    back = threading.Event()

    def say(_asked: Asked, connection: socket.socket) -> None:
        if back.is_set():
            connection.sendall(part(b"0123456789", "bytes 0-9/10"))
        else:
            time.sleep(2)

    with answering(say) as server:
        client = S3Client(parse_s3_url(server.url), KEYS, Limits(0.3, 0.3, 1))
        with pytest.raises(BlobsUnreachableError, match="in time"):
            read(client)
        told: list[str] = []

        def ask() -> None:
            try:
                read(client)
            except BlobsUnreachableError as error:
                told.append(error.message)

        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum("being asked" in message for message in told) == 19
        assert len(server.asked) == 2
        back.set()
        assert read(client) == read(client) == b"0123456789"


def test_closing_does_not_wait_for_all_that_is_to_be_deleted(monkeypatch) -> None:
    monkeypatch.setattr("casemate.blobs.s3._CLOSE_SECONDS", 0.2)
    server, blobs = stored(lambda _asked, _connection: time.sleep(2))
    blobs.delete([f"{number:032x}" for number in range(500)])
    began = time.monotonic()
    blobs._store.close()
    assert time.monotonic() - began < 10
    server.close()


def test_nobody_there() -> None:
    url = parse_s3_url(f"s3://bucket?endpoint=http://127.0.0.1:{reserved_port()}")
    with pytest.raises(BlobsUnreachableError, match="Connection refused"):
        S3Client(url, KEYS, QUICK).get_small("k", 10)


def endless(head: bytes) -> Say:
    def say(_asked: Asked, connection: socket.socket) -> None:
        connection.sendall(head)
        block = b"%x\r\n" % (1 << 20) + b"x" * (1 << 20) + b"\r\n"
        for _ in range(10_000):  # 10 GB
            connection.sendall(block)

    return say


CHUNKED = b"transfer-encoding: chunked\r\ndate: Fri, 27 Nov 2026 20:00:00 GMT\r\n\r\n"


@pytest.mark.parametrize(
    ("status", "ask", "most"),
    [
        (b"206 X\r\ncontent-range: bytes 0-9/10", read, 1),
        (b"400 X", read, 1),
        (b"500 X", read, 1),
        (b"200 X", lambda client: client.get_small("k", 100), 1),
        (b"403 X", lambda client: client.put("k", b"x"), 1),
        (b"200 X", lambda client: client.list("p"), 20),
    ],
)
def test_ten_gigabytes_of_an_answer_are_not_kept(
    status: bytes, ask: Callable[[S3Client], object], most: int
) -> None:
    with answering(endless(b"HTTP/1.1 " + status + b"\r\n" + CHUNKED)) as server:
        client = S3Client(parse_s3_url(server.url), KEYS, Limits(10.0, 1.0, 1))
        tracemalloc.start()
        try:
            with pytest.raises(BlobsError):
                ask(client)
            assert tracemalloc.get_traced_memory()[1] < (most + 3) << 20
        finally:
            tracemalloc.stop()


def stored(say: Say) -> tuple[Answers, S3Blobs]:
    """Return a server that says whose it is, and else what it is told to."""

    def both(asked: Asked, connection: socket.socket) -> None:
        if asked.target.endswith("/casemate-cluster"):
            connection.sendall(IDENTITY)
        else:
            say(asked, connection)

    server = Answers(both)
    return server, S3Store(connected(server), CLUSTER).blobs("objects/p")


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (["at/objects/q/x"], "not asked for"),
        (["other/objects/p/x"], "not asked for"),
        ([f"at/objects/p/{NAME}/00000001", f"at/objects/p/{NAME}/00000000"], "not asked for"),
        ([f"at/objects/p/{NAME}/00000000"] * 2, "twice"),
    ],
)
def test_lists_of_what_was_not_asked_for(keys: list[str], told: str) -> None:
    server, blobs = stored(always(plain(200, listing(*keys))))
    with pytest.raises(BlobsUnreachableError, match=told):
        list(blobs.listed())
    server.close()


def test_keys_that_are_no_blobs_are_left_alone() -> None:
    keys = [
        "at/objects/p/",
        "at/objects/p/../../../etc/passwd",
        "at/objects/p/..%2f",
        f"at/objects/p/{NAME}",
        f"at/objects/p/{NAME}/../x",
        f"at/objects/p/{NAME}/00000000",
        f"at/objects/p/{NAME.upper()[:31]}g/00000000",
        "at/objects/p/\x7f",
    ]
    server, blobs = stored(always(plain(200, listing(*sorted(keys)))))
    assert [each.name for each in blobs.listed()] == [NAME]
    server.close()


def test_a_list_without_an_end(monkeypatch) -> None:
    """A million keys are gone through a page at a time; beyond the bound that is an error."""
    monkeypatch.setattr("casemate.blobs.s3.MAX_LISTED", 3_000)
    pages = iter(range(10_000))

    def say(_asked: Asked, connection: socket.socket) -> None:
        number = next(pages)
        keys = [f"at/objects/p/{number:016x}{i:016x}/00000000" for i in range(1000)]
        connection.sendall(plain(200, listing(*keys, token=f"t{number}")))

    server, blobs = stored(say)
    seen = 0
    with pytest.raises(BlobsUnreachableError, match="more than 3000"):
        for _ in blobs.listed():
            seen += 1
    assert 2_000 <= seen <= 3_000
    server.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<a/>",
        b"<ListBucketResult>",
        b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + listing("at/objects/p/x"),
        listing(token="t"),
        listing("at/objects/p/x").replace(b"false", b"maybe"),
        listing("at/objects/p/x").replace(b"false", b"true"),
        listing("at/objects/p/x", modified="yesterday"),
        listing("at/objects/p/x", modified="2020-01-01T00:00:00"),
        listing("at/objects/p/" + "x" * 10_000),
        listing("at/objects/p/%ff"),
        b"<a>" * 10_000,
        listing("at/objects/p/x").replace(b"<Contents>", b"<Contents>" + b"<d>" * 9),
    ],
)
def test_lists_that_cannot_be_read(body: bytes) -> None:
    server, blobs = stored(always(plain(200, body)))
    with pytest.raises(BlobsUnreachableError, match="cannot be read"):
        list(blobs.listed())
    server.close()


def test_a_store_that_does_not_tell_the_time_sweeps_nothing() -> None:
    page = plain(200, listing(f"at/objects/p/{NAME}/00000000"), date="soon")
    server, blobs = stored(always(page))
    with pytest.raises(BlobsUnreachableError, match="what time"):
        list(blobs.listed())
    server.close()


def test_only_the_clock_of_the_store_counts(monkeypatch) -> None:
    """The youngest segment says how old a blob is, and a node's clock may say what it likes."""
    first = listing(f"at/objects/p/{NAME}/00000000", modified="2026-11-27T10:00:00Z")
    second = listing(f"at/objects/p/{NAME}/00000001", modified="2026-11-27T11:00:00Z")
    body = first.replace(b"</ListBucketResult>", b"") + second[second.index(b"<Contents>") :]
    server, blobs = stored(always(plain(200, body, date="Fri, 27 Nov 2026 11:30:00 GMT")))
    monkeypatch.setattr("time.time", lambda: 4e9)
    assert [tuple(each) for each in blobs.listed()] == [(NAME, 1800.0)]
    server.close()


def test_a_store_without_conditions_is_claimed_all_the_same() -> None:
    kept: dict[str, bytes] = {}

    def say(asked: Asked, connection: socket.socket) -> None:
        if asked.method == "PUT" and "if-none-match" in asked.headers:
            connection.sendall(plain(501, b"<Code>NotImplemented</Code>"))
        elif asked.method == "PUT":
            kept[asked.target] = asked.body
            connection.sendall(plain(200))
        elif "list-type" in asked.target:
            connection.sendall(plain(200, listing()))
        elif asked.target in kept:
            connection.sendall(plain(200, kept[asked.target]))
        else:
            connection.sendall(plain(404))

    with answering(say) as server:
        store = S3Store(connected(server), CLUSTER)
        store.close()
        assert {place: json.loads(text) for place, text in kept.items()} == {
            "/bucket/at/casemate-cluster": {
                "format": 1,
                "cluster": CLUSTER,
                "bucket": store.bucket,
            }
        }
