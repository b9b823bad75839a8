"""What a gateway does for a worker, and what it does not let one do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.child.frames import FrameError
from casemate.http_workers import protocol
from casemate.http_workers.deciding import Connections
from casemate.http_workers.protocol import Kind
from casemate.model.http import Destination, HttpHead, HttpRequest, HttpResponse
from casemate.model.trusted_proxies import TrustedProxies
from casemate.triggers.http_server import HttpLimits, server_problem
from casemate.triggers.http_server.context import ServerContext
from casemate.triggers.http_server.handshake_rate import BURST, HandshakeRate
from casemate.triggers.http_server.request_head import RequestRefusedError, parse_head
from support.far_server import Link

HEAD = HttpHead("POST", "/x", "", ((b"host", b"a"),), "192.0.2.1")
HEAD_BYTES = protocol.encode_head(HEAD)
ADDRESS = b"192.0.2.1"
LIMITS = HttpLimits()


class Gateway:
    """One worker's connections in a gateway, and what was sent for them."""

    def __init__(self, answer: Callable[[HttpRequest], Awaitable[Any]], **limits: Any) -> None:
        self.requests: list[HttpRequest] = []
        self.problems: list[tuple[int, str]] = []
        self.limit = 100_000
        self.plain = False
        self._answer = answer
        self.link = Link()
        self.context = ServerContext(
            self.route, HttpLimits(**limits), lambda _: "e1", self.problem, TrustedProxies()
        )
        self.connections = Connections(self.context, self.link, HandshakeRate())

    def route(self, _head: HttpHead) -> Destination | HttpResponse:
        async def answer(request: HttpRequest) -> Any:
            self.requests.append(request)
            return await self._answer(request)

        return Destination(self.limit, answer, plain=self.plain)

    def problem(self, status: int, detail: str, error_id: str | None) -> HttpResponse:
        self.problems.append((status, detail))
        return server_problem(status, detail, error_id)

    def say(self, kind: Kind, number: int = 1, content: bytes = b"") -> None:
        if kind is Kind.RELEASE and not content:
            content = b"\0"
        self.connections.take(*protocol.read(protocol.frame(kind, number, content)))

    def told(self) -> list[tuple[Kind, int, bytes]]:
        sent, self.link.sent[:] = [protocol.read(each) for each in self.link.sent], []
        return sent

    async def answered(self) -> HttpResponse:
        async with asyncio.timeout(5):
            while not self.link.sent:
                await asyncio.sleep(0)
        (kind, _, content), *others = self.told()
        assert (kind, others) == (Kind.ANSWER, [])
        return protocol.read_answer(content)


async def echo(request: HttpRequest) -> HttpResponse:
    return HttpResponse(200, (), request.body or b"ok")


def run(main: Callable[[Gateway], Awaitable[None]], answer: Any = echo, **limits: Any) -> None:
    async def whole() -> None:
        gateway = Gateway(answer, **limits)
        await main(gateway)
        for each in (*gateway.context.tasks, *gateway.context.driven):
            each.cancel()
        await asyncio.gather(*gateway.context.tasks, return_exceptions=True)

    uvloop.run(asyncio.wait_for(whole(), 20))


def test_a_request_is_answered_and_may_come_again() -> None:
    async def main(gateway: Gateway) -> None:
        for gateway.plain in (False, True):
            number = 1 + gateway.plain
            gateway.say(Kind.ADMIT, number, ADDRESS)
            assert gateway.told() == [(Kind.ADMITTED, number, bytes(10))]
            gateway.say(Kind.CALL, number, HEAD_BYTES + b"one")
            assert (await gateway.answered()).body == b"one"
            gateway.say(Kind.AGAIN, number, b"two")
            assert (await gateway.answered()).body == b"two"
            assert [each.head for each in gateway.requests[-2:]] == [HEAD, HEAD]

    run(main)


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ([], (Kind.CALL, HEAD_BYTES)),
        ([], (Kind.PULL, b"")),
        ([], (Kind.BODY, b"\x01x")),
        ([], (Kind.ANSWER, b"")),
        ([(Kind.ADMIT, ADDRESS)], (Kind.ADMIT, ADDRESS)),
        ([(Kind.ADMIT, ADDRESS)], (Kind.AGAIN, b"")),
        ([(Kind.ADMIT, ADDRESS)], (Kind.PULL, b"")),
        ([(Kind.ADMIT, ADDRESS)], (Kind.BODY, b"\x01x")),
        ([(Kind.ADMIT, ADDRESS)], (Kind.CALL, HEAD_BYTES[:-3])),
        ([(Kind.ADMIT, ADDRESS)], (Kind.CALL, b"\xff\xff\xff\xff" + HEAD_BYTES[4:])),
        ([(Kind.ADMIT, ADDRESS)], (Kind.CALL, HEAD_BYTES + bytes(protocol.SMALL_BYTES + 1))),
        ([(Kind.ADMIT, ADDRESS)], (Kind.ASK, HEAD_BYTES + b"x")),
        ([(Kind.ADMIT, ADDRESS), (Kind.CALL, HEAD_BYTES)], (Kind.CALL, HEAD_BYTES)),
        ([(Kind.ADMIT, ADDRESS), (Kind.CALL, HEAD_BYTES)], (Kind.AGAIN, b"")),
        ([(Kind.ADMIT, ADDRESS), (Kind.ASK, HEAD_BYTES)], (Kind.CALL, HEAD_BYTES)),
        ([(Kind.ADMIT, ADDRESS), (Kind.ASK, HEAD_BYTES)], (Kind.BODY, b"")),
        ([(Kind.ADMIT, ADDRESS), (Kind.ASK, HEAD_BYTES)], (Kind.BODY, b"\x02x")),
        ([(Kind.ADMIT, ADDRESS), (Kind.ASK, HEAD_BYTES)], (Kind.BODY, b"\x00" + bytes(100_001))),
        ([(Kind.ADMIT, ADDRESS), (Kind.ASK, HEAD_BYTES)], (Kind.BODY, b"\x00x")),
        ([(Kind.ADMIT, ADDRESS), (Kind.ASK, HEAD_BYTES)], (Kind.BODY, b"\x00")),
        (
            [(Kind.ADMIT, ADDRESS), (Kind.ASK, HEAD_BYTES), (Kind.RELEASE, b"\1")],
            (Kind.RELEASE, b"\1"),
        ),
        (
            [(Kind.ADMIT, ADDRESS), (Kind.ASK, HEAD_BYTES), (Kind.RELEASE, b"\0")],
            (Kind.BODY, b"\1x"),
        ),
        ([(Kind.ADMIT, ADDRESS)], (Kind.RELEASE, b"\1")),
        ([(Kind.ADMIT, ADDRESS), (Kind.CALL, HEAD_BYTES)], (Kind.RELEASE, b"\1")),
        ([(Kind.ADMIT, ADDRESS)], (Kind.RELEASE, b"\2")),
        ([(Kind.ADMIT, b"192.0.2.2")], (Kind.CALL, HEAD_BYTES)),
        ([(Kind.COUNTED, bytes((2, *bytes(7))))], (Kind.COUNTED, bytes((1, *bytes(7))))),
    ],
)
def test_what_is_not_due_ends_the_worker(
    before: list[tuple[Kind, bytes]], said: tuple[Kind, bytes]
) -> None:
    async def slow(_request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(60)
        return HttpResponse(200)

    async def main(gateway: Gateway) -> None:
        for kind, content in before:
            gateway.say(kind, 1, content)
        with pytest.raises(FrameError):
            gateway.say(said[0], 1, said[1])
        gateway.connections.lose()
        assert gateway.context.counter.open == 0

    run(main, slow)


@pytest.mark.parametrize(
    "head",
    [
        HttpHead("TRACE", "/x", "", (), "192.0.2.1"),
        HttpHead("GET", "x", "", (), "192.0.2.1"),
        HttpHead("GET", "", "", (), "192.0.2.1"),
        HttpHead("GET", "/\u00e9", "", (), "192.0.2.1"),
        HttpHead("GET", "/x", "\u00e9", (), "192.0.2.1"),
        HttpHead("GET", "/x\0", "", (), "192.0.2.1"),
        HttpHead("GET", "/x\r\ny", "", (), "192.0.2.1"),
        HttpHead("GET", "/x y", "", (), "192.0.2.1"),
        HttpHead("GET", "/x?y", "", (), "192.0.2.1"),
        HttpHead("GET", "/x", "y\n", (), "192.0.2.1"),
        HttpHead("GET", "/x", "y#", (), "192.0.2.1"),
        HttpHead("GET", "/a/../b", "", (), "192.0.2.1"),
        HttpHead("GET", "/a/%2e%2E/b", "", (), "192.0.2.1"),
        HttpHead("GET", "/%00", "", (), "192.0.2.1"),
        HttpHead("GET", "/%ff", "", (), "192.0.2.1"),
        HttpHead("GET", "/" + "x" * 8192, "", (), "192.0.2.1"),
        HttpHead("GET", "/x", "", ((b"X", b"y"),), "192.0.2.1"),
        HttpHead("GET", "/x", "", ((b"x:", b"y"),), "192.0.2.1"),
        HttpHead("GET", "/x", "", ((b"", b"y"),), "192.0.2.1"),
        HttpHead("GET", "/x", "", ((b"x\n", b"y"),), "192.0.2.1"),
        HttpHead("GET", "/x", "", ((b"x", b"y\rz"),), "192.0.2.1"),
        HttpHead("GET", "/x", "", ((b"x", b"y\0"),), "192.0.2.1"),
        HttpHead("GET", "/x", "", ((b"host", b"a"), (b"host", b"b")), "192.0.2.1"),
        HttpHead("GET", "*", "", ((b"host", b"a"),), "192.0.2.1"),
        HttpHead("OPTIONS", "*", "b=1", ((b"host", b"a"),), "192.0.2.1"),
        HttpHead("GET", "/x", "", ((b"host", b"a/b"),), "192.0.2.1"),
        HttpHead("GET", "/x", "", ((b"authorization", b"a"),) * 2, "192.0.2.1"),
        HttpHead("GET", "/x", "", ((b"content-length", b"-1"),), "192.0.2.1"),
        HttpHead("GET", "/x", "", ((b"x", b"y"),) * 102, "192.0.2.1"),
        HttpHead("GET", "/x", "", ((b"x", b"y" * 40_000),), "192.0.2.1"),
        HttpHead("GET", "/x", "", ((b"a",),), "192.0.2.1"),  # type: ignore[arg-type]
        HttpHead("GET", "/x", "", (("a", 5),), "192.0.2.1"),  # type: ignore[arg-type]
    ],
)
def test_a_head_that_no_server_would_have_read_is_none(head: HttpHead) -> None:
    with pytest.raises(FrameError):
        protocol.read_head(protocol.encode_head(head), LIMITS)


@given(
    st.lists(
        st.sampled_from(
            [
                *(
                    b"GET ",
                    b"POST ",
                    b"OPTIONS ",
                    b"*",
                    b"/a",
                    b"/%41",
                    b"/..",
                    b"?",
                    b"b=1",
                    b"%0a",
                ),
                *(
                    b"http://h:1/x",
                    b" HTTP/1.1\r\n",
                    b" HTTP/1.0\r\n",
                    b"Host: a\r\n",
                    b"X-Y: ",
                    b"\r\n",
                ),
                *(
                    b"Content-Length: 5\r\n",
                    b"Transfer-Encoding: chunked\r\n",
                    b"Expect: 100-continue\r\n",
                ),
                *(
                    b"\x7f",
                    b"\x80",
                    b"\t",
                    b":",
                    b"Connection: close\r\n",
                    b"Host: b:1\r\n",
                    b"_|~^`'",
                ),
            ]
        ),
        min_size=3,
        max_size=9,
    ),
    st.sampled_from([b"GET /", b"POST http://a:1/b", b"OPTIONS *", b""]),
    st.sampled_from([b" HTTP/1.1\r\nHost: a\r\n", b" HTTP/1.0\r\n"]),
)
def test_what_a_server_has_read_is_a_head(parts: list[bytes], begin: bytes, line: bytes) -> None:
    raw = begin + parts[0] + line + b"".join(parts[1:]) + b"\r\n"
    try:
        head = parse_head(raw, "192.0.2.1", LIMITS).head
    except RequestRefusedError:
        return
    assert protocol.read_head(protocol.encode_head(head), LIMITS) == (head, b"")


def test_every_byte_that_a_server_takes_in_a_head_is_taken_of_a_worker() -> None:
    taken = 0
    for byte in range(256):
        for before, after in (
            (b"GET /a", b" HTTP/1.1\r\nHost: a\r\n\r\n"),
            (b"GET /?a", b" HTTP/1.1\r\nHost: a\r\n\r\n"),
            (b"GET http://a", b"/ HTTP/1.0\r\n\r\n"),
            (b"GET / HTTP/1.1\r\nHost: a\r\nx", b"y: z\r\n\r\n"),
            (b"GET / HTTP/1.1\r\nHost: a\r\nx: y", b"z\r\n\r\n"),
            (b"GET / HTTP/1.1\r\nHost: a", b"\r\n\r\n"),
        ):
            with contextlib.suppress(RequestRefusedError):
                head = parse_head(before + bytes((byte,)) + after, "192.0.2.1", LIMITS).head
                protocol.read_head(protocol.encode_head(head), LIMITS)
                taken += 1
    assert taken > 500


@pytest.mark.parametrize(
    "text",
    ["a:b", "1.2.3.4:80", "[::1]", "localhost", "::1%lo", "::ffff:1.2.3.4", "1.2.3.4\n", "1" * 65],
)
def test_where_a_connection_comes_from_is_an_address(text: str) -> None:
    """What is none was counted, where a proxy was trusted, and not counted off."""

    async def main(gateway: Gateway) -> None:
        with pytest.raises(FrameError):
            gateway.say(Kind.ADMIT, 1, text.encode())
        gateway.connections.lose()
        assert gateway.context.counter.open == 0

    run(main)


def test_a_proxy_names_addresses_and_nobody_else_does() -> None:
    async def main(gateway: Gateway) -> None:
        gateway.context.proxies = TrustedProxies(["192.0.2.9"])
        gateway.say(Kind.ADMIT, 1, b"192.0.2.9")
        gateway.say(Kind.CALL, 1, HEAD_BYTES)
        await asyncio.sleep(0.01)
        assert gateway.requests[-1].head.peer == "192.0.2.1"
        with pytest.raises(FrameError):
            head = HttpHead("GET", "/", "", (), "x\n")
            gateway.say(Kind.CALL, 1, protocol.encode_head(head))

    run(main)


def test_both_ends_may_end_something_at_once() -> None:
    async def main(gateway: Gateway) -> None:
        gateway.say(Kind.RELEASE, 7)
        gateway.say(Kind.STOP, 7)
        assert gateway.told() == []

    run(main)


def test_connections_of_all_workers_count_together() -> None:
    async def main(gateway: Gateway) -> None:
        other = Connections(gateway.context, gateway.link, HandshakeRate())
        gateway.say(Kind.ADMIT, 1, ADDRESS)
        other.take(Kind.ADMIT, 1, ADDRESS)
        gateway.say(Kind.ADMIT, 2, ADDRESS)
        other.take(Kind.ADMIT, 2, b"192.0.2.2")
        found = [protocol.read_admitted(content)[0] for _, _, content in gateway.told()]
        assert found == [0, 0, 429, 0]
        gateway.say(Kind.RELEASE, 1)
        gateway.say(Kind.ADMIT, 3, ADDRESS)
        assert protocol.read_admitted(gateway.told()[0][2])[0] == 0
        other.lose()
        gateway.connections.lose()
        assert gateway.context.counter.open == 0
        assert gateway.context.counter._groups == {}

    run(main, connections_per_peer=2)


def test_handshakes_of_all_workers_take_turns() -> None:
    async def main(gateway: Gateway) -> None:
        turns = HandshakeRate()
        workers = [Connections(gateway.context, gateway.link, turns) for _ in range(2)]
        for number in range(BURST + 20):
            workers[number % 2].take(Kind.ADMIT, 1 + number, ADDRESS)
        pauses = [protocol.read_admitted(content)[1] for _, _, content in gateway.told()]
        assert pauses[: BURST - 5] == [0.0] * (BURST - 5)
        assert all(pause > 0 for pause in pauses[-10:])

    run(main, connections_per_peer=1000)


def test_a_long_body_comes_in_pieces_and_is_counted() -> None:
    size = 3 * protocol.PIECE_BYTES

    async def main(gateway: Gateway) -> None:
        gateway.limit = size
        gateway.say(Kind.ADMIT, 1, ADDRESS)
        gateway.say(Kind.ASK, 1, HEAD_BYTES)
        assert gateway.told()[1] == (Kind.ALLOWED, 1, size.to_bytes(8, "little"))
        for last in (False, False, True):
            assert gateway.requests == []
            gateway.say(Kind.BODY, 1, bytes((last,)) + b"x" * protocol.PIECE_BYTES)
            assert gateway.context.buffered > 0
        async with asyncio.timeout(5):
            while not gateway.requests or gateway.context.tasks:
                await asyncio.sleep(0.01)
        assert gateway.requests[0].body == b"x" * size
        kinds = [kind for kind, _, _ in gateway.told()]
        assert kinds == [Kind.PART, Kind.PART, Kind.ANSWER]
        assert gateway.context.buffered == 0

    run(main)


def test_a_body_for_which_there_is_no_room_is_refused_at_its_end() -> None:
    async def main(gateway: Gateway) -> None:
        gateway.limit = 10 << 20
        gateway.say(Kind.ADMIT, 1, ADDRESS)
        for _ in range(2):
            gateway.say(Kind.ASK, 1, HEAD_BYTES)
            gateway.told()
            for last in (False, False, True):
                assert gateway.told() == []
                gateway.say(Kind.BODY, 1, bytes((last,)) + b"x" * protocol.PIECE_BYTES)
            assert (await gateway.answered()).status == 503
            assert gateway.context.buffered == 0
        assert gateway.requests == []

    run(main, buffered_bytes=1000, buffered_bytes_per_peer=1000)


@pytest.mark.parametrize("asks", [False, True])
def test_what_began_goes_on_when_its_client_or_the_worker_is_gone(asks: bool) -> None:
    async def main(gateway: Gateway) -> None:
        for end in ("client", "worker"):
            number = 1 if end == "client" else 2
            gateway.say(Kind.ADMIT, number, ADDRESS)
            if asks:
                gateway.say(Kind.ASK, number, HEAD_BYTES)
                gateway.say(Kind.RELEASE, number, b"\1")
                # The client has sent all of it; its worker still passes it on.
                gateway.say(Kind.BODY, number, b"\x01all")
            else:
                gateway.say(Kind.CALL, number, HEAD_BYTES + b"all")
                if end == "client":
                    gateway.say(Kind.RELEASE, number)
            gateway.told()
            if end == "worker":
                gateway.connections.lose()
            await asyncio.sleep(0.1)
            assert gateway.told() == []
            assert len(gateway.requests) == number
            assert gateway.context.counter.open == 0
            assert gateway.connections._open == {}
            assert gateway.context.buffered == 0

    async def slow(_request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0.05)
        return HttpResponse(200)

    run(main, slow)


def test_bodies_that_never_come_are_bounded() -> None:
    async def main(gateway: Gateway) -> None:
        with pytest.raises(FrameError):
            for number in range(1, 300):
                gateway.say(Kind.ADMIT, number, ADDRESS)
                gateway.say(Kind.ASK, number, HEAD_BYTES)
                gateway.say(Kind.RELEASE, number, b"\1")
        assert number == 101
        gateway.connections.lose()
        assert gateway.context.counter.open == 0

    run(main, connections=100)


def test_a_client_that_is_gone_in_the_middle_of_a_body_leaves_nothing() -> None:
    async def main(gateway: Gateway) -> None:
        for number in range(1, 300):
            gateway.say(Kind.ADMIT, number, ADDRESS)
            gateway.say(Kind.ASK, number, HEAD_BYTES)
            gateway.say(Kind.RELEASE, number, b"\0")
        assert gateway.connections._open == {}
        assert gateway.context.counter.open == 0

    run(main, connections=100)


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "text",
        HttpResponse(200, (("x", b"y"),)),
        HttpResponse(70_000),
        HttpResponse(200, ((b"x",),)),
    ],
)
@pytest.mark.parametrize("plain", [False, True])
def test_what_is_no_answer_is_a_plain_500(bad: Any, plain: bool) -> None:
    async def answer(_request: HttpRequest) -> Any:
        return bad

    async def main(gateway: Gateway) -> None:
        gateway.plain = plain
        gateway.say(Kind.ADMIT, 1, ADDRESS)
        gateway.told()
        for _ in range(2):
            gateway.say(Kind.CALL, 1, HEAD_BYTES)
            response = await gateway.answered()
            assert response.status == 500
            assert b"e1" in response.body  # type: ignore[operator]

    run(main, answer)


def test_a_refused_request_is_told_of_as_by_a_server_of_its_own() -> None:
    async def main(gateway: Gateway) -> None:
        gateway.connections.take(*protocol.read(protocol.refused(400, "The request is bad.")))
        gateway.connections.take(*protocol.read(protocol.refused(431, "x" * 1000)))
        assert gateway.problems == [(400, "The request is bad."), (431, "x" * 200)]
        for content in (
            b"",
            b"\x90\x01\0",
            b"\x90\x01\0\0\xff",
            b"\x90\x01\0\0a\nb",
            b"\xff\xff\0\0x",
            bytes(400),
        ):
            with pytest.raises(FrameError):
                gateway.say(Kind.REFUSED, 0, content)

    run(main)


class Parts:
    """The parts of an answer, which tell when they were closed."""

    def __init__(self, *parts: Any) -> None:
        self.parts = list(parts)
        self.closed = 0

    def __aiter__(self) -> AsyncIterator[Any]:
        return self  # type: ignore[return-value]

    async def __anext__(self) -> Any:
        if not self.parts:
            raise StopAsyncIteration
        part = self.parts.pop(0)
        if isinstance(part, Exception):
            raise part
        return part

    async def aclose(self) -> None:
        self.closed += 1


async def beginning(gateway: Gateway, parts: Parts) -> None:
    gateway.say(Kind.ADMIT, 1, ADDRESS)
    gateway.say(Kind.CALL, 1, HEAD_BYTES)
    await asyncio.sleep(0.01)
    assert [kind for kind, _, _ in gateway.told()] == [Kind.ADMITTED, Kind.BEGIN]


async def pulled(gateway: Gateway) -> tuple[Kind, bytes]:
    gateway.say(Kind.PULL)
    async with asyncio.timeout(5):
        while not gateway.link.sent:
            await asyncio.sleep(0)
    ((kind, _, content),) = gateway.told()
    return kind, content


@pytest.mark.parametrize("bad", [ValueError("secret"), "text", 5])
def test_parts_are_sent_when_they_are_wanted(bad: Any) -> None:
    for parts in (Parts(b"a", b"", b"b"), Parts(b"a", b"b", bad)):
        ends = Kind.BROKEN if parts.parts[-1] is bad else Kind.END

        async def answer(_request: HttpRequest, parts: Parts = parts) -> HttpResponse:
            return HttpResponse(200, (), parts)  # type: ignore[arg-type]

        async def main(gateway: Gateway, parts: Parts = parts, ends: Kind = ends) -> None:
            whole = len(parts.parts)
            await beginning(gateway, parts)
            assert len(parts.parts) == whole
            assert await pulled(gateway) == (Kind.CHUNK, b"a")
            assert await pulled(gateway) == (Kind.CHUNK, b"b")
            assert await pulled(gateway) == (ends, b"")
            await asyncio.sleep(0.01)
            assert parts.closed == 1
            gateway.say(Kind.CALL, 1, HEAD_BYTES)

        run(main, answer)


@pytest.mark.parametrize("end", [Kind.STOP, Kind.RELEASE])
@pytest.mark.parametrize("wanted", [0, 1])
def test_an_answer_that_nobody_wants_any_more_is_closed(end: Kind, wanted: int) -> None:
    parts = Parts(b"a", b"b", b"c")

    async def answer(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, (), parts)  # type: ignore[arg-type]

    async def main(gateway: Gateway) -> None:
        await beginning(gateway, parts)
        for _ in range(wanted):
            await pulled(gateway)
        gateway.say(end)
        if end is Kind.STOP:  # the connection goes on at once
            gateway.say(Kind.CALL, 1, HEAD_BYTES)
        await asyncio.sleep(0.01)
        assert parts.closed >= 1
        assert len(parts.parts) == 3 - wanted

    run(main, answer)


messages = st.tuples(
    st.sampled_from([*Kind]),
    st.integers(0, 4),
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from(
            [ADDRESS, HEAD_BYTES, HEAD_BYTES + b"body", b"\x00ab", b"\x01ab", b"\0", b"\1", b""]
        ),
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(messages, max_size=25))
def test_whatever_a_worker_says_counts_are_right_once_it_is_gone(
    said: list[tuple[Kind, int, bytes]],
) -> None:
    async def main(gateway: Gateway) -> None:
        with contextlib.suppress(FrameError):
            for kind, number, content in said:
                gateway.say(kind, number, content)
                await asyncio.sleep(0)
        gateway.connections.lose()
        for _ in range(10):
            await asyncio.sleep(0)
        assert gateway.context.counter.open == 0
        assert gateway.context.counter._groups == {}
        assert gateway.context.buffered == 0
        for each in gateway.link.sent:
            protocol.read(each)

    run(main)


def test_a_head_that_is_nested_deep_is_none() -> None:
    head = b"\x81\xa1x" + b"\x91" * 20_000
    with pytest.raises(FrameError):
        protocol.read_head(protocol._LENGTH.pack(len(head)) + head, LIMITS)


@given(st.binary(max_size=200))
def test_no_content_is_read_as_something_else(content: bytes) -> None:
    for read in (
        protocol.read,
        partial(protocol.read_head, limits=LIMITS),
        protocol.read_released,
        protocol.read_address,
        protocol.read_piece,
        protocol.read_refused,
        protocol.read_count,
    ):
        with contextlib.suppress(FrameError):
            read(content)
