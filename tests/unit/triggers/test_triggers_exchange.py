"""Well-formed traffic: keep-alive, pipelining, bodies, expectations, methods, responses."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

import msgspec
import pytest
from triggers_server import GET, GET_CLOSE, Client, Served, run, serving

from casemate.model.http import Destination, HttpHead, HttpRequest, HttpResponse
from casemate.triggers.http_server import HttpLimits, HttpServer, ListenError
from support.destinations import leading_to


def post(body: bytes, *fields: bytes, method: bytes = b"POST") -> bytes:
    head = b"%b /p HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n" % (method, len(body))
    return head + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


def test_keep_alive_serves_many_requests_on_one_connection() -> None:
    async def main() -> None:
        async with serving() as served:
            client = await served.connect()
            for number in range(50):
                response = await client.get(post(b"%d" % number))
                assert (response.status, response.body) == (200, b"%d" % number)
                assert "connection" not in response.headers
                assert response.headers["x-content-type-options"] == "nosniff"
                assert response.headers["date"].endswith(" GMT")
                assert "server" not in response.headers
            assert served.server.open_connections == 1
            client.close()
            await served.settled()
            assert served.requests[0].head.peer == "127.0.0.1"

    run(main())


@pytest.mark.parametrize(
    ("version", "field", "stays"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: foo, Close\r\n", False),
        (b"1.1", b"Connection: foo\r\nConnection: close\r\n", False),
        (b"1.1", b"Connection: keep-alive, close\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: Keep-Alive\r\n", True),
        (b"1.0", b"Connection: keep-alive, close\r\n", False),
    ],
)
def test_persistence_follows_version_and_connection(
    version: bytes, field: bytes, stays: bool
) -> None:
    async def main() -> None:
        async with serving() as served:
            client = await served.connect()
            request = b"GET / HTTP/" + version + b"\r\nHost: a\r\n" + field + b"\r\n"
            response = await client.get(request)
            if stays:
                expected = "keep-alive" if version == b"1.0" else None
                assert response.headers.get("connection") == expected
                assert (await client.get(request)).status == 200
            else:
                assert response.headers["connection"] == "close"
                assert await client.closed()
            client.close()

    run(main())


def test_http10_needs_no_host() -> None:
    async def main() -> None:
        async with serving() as served:
            assert (await served.talk(b"GET / HTTP/1.0\r\n\r\n")).endswith(b"\r\n\r\nok")

    run(main())


def test_pipelined_requests_are_answered_in_order_one_at_a_time() -> None:
    running = 0

    async def slow(request: HttpRequest) -> HttpResponse:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0.001 * (len(request.body) % 3))
        running -= 1
        return HttpResponse(200, (), request.body)

    async def main() -> None:
        async with serving(slow) as served:
            client = await served.connect()
            bodies = [b"x" * number for number in range(1, 120)]
            await client.send(b"".join(post(body) for body in bodies))
            for body in bodies:
                assert (await client.response()).body == body
            assert served.errors == []
            client.close()

    run(main())


def test_pipelining_pauses_reading_so_that_memory_stays_bounded() -> None:
    release = asyncio.Event

    async def main() -> None:
        gate = release()

        async def waits(_request: HttpRequest) -> HttpResponse:
            await gate.wait()
            return HttpResponse(200)

        async with serving(waits) as served:
            client = await served.connect()
            client.writer.transport.set_write_buffer_limits(high=0)
            sent = 0
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    while sent < 64_000_000:
                        client.writer.write(GET * 1000)
                        await client.writer.drain()
                        sent += len(GET) * 1000
            assert sent < 20_000_000
            assert len(served.requests) == 1
            client.writer.transport.abort()
            gate.set()

    run(main())


def test_many_pipelined_answers_let_other_connections_have_their_turn() -> None:
    def refuse(head: HttpHead) -> HttpResponse | int:
        return 0 if head.path == "/other" else HttpResponse(404)

    async def main() -> None:
        async with serving(body_limit=refuse) as served:
            flood, other = await served.connect(), await served.connect()
            await flood.send(GET * 3000)
            await other.send(b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await other.response()).status == 200
            for _ in range(3000):
                assert (await flood.response()).status == 404
            flood.close()
            other.close()

    run(main())


def test_one_empty_line_before_a_request_is_ignored() -> None:
    async def main() -> None:
        async with serving() as served:
            client = await served.connect()
            for request in (b"\r\n" + GET, post(b"ab") + b"\r\n", GET):
                assert (await client.get(request)).status == 200
            await client.send(b"\r")
            await asyncio.sleep(0.02)
            assert (await client.get(b"\n" + GET)).status == 200
            client.close()

    run(main())


def test_chunked_bodies_are_joined_and_trailers_dropped() -> None:
    body = b'3\r\nabc\r\n2;name=value;q="x y"\r\nde\r\n00\r\nX-Sum: 1\r\nHostess: a\r\n\r\n'
    request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n" + body

    async def main() -> None:
        async with serving() as served:
            client = await served.connect()
            for split in (len(request), 1, 7):
                for start in range(0, len(request), split):
                    await client.send(request[start : start + split])
                assert (await client.response()).body == b"abcde"
            await client.send(request + request + GET)
            assert [(await client.response()).body for _ in range(3)] == [b"abcde"] * 2 + [b"ok"]
            assert all(r.head.header(b"x-sum") is None for r in served.requests)
            client.close()

    run(main())


def test_large_bodies_arrive_whole() -> None:
    body = bytes(range(256)) * 20_000

    async def main() -> None:
        async with serving(body_limit=lambda _h: len(body)) as served:
            client = await served.connect()
            await client.send(post(body) + GET)
            assert (await client.response()).body == body
            assert (await client.response()).body == b"ok"
            client.close()

    run(main())


def test_continue_is_sent_only_after_the_limit_said_yes() -> None:
    asked: list[HttpHead] = []

    def limit(head: HttpHead) -> int | HttpResponse:
        asked.append(head)
        return 10 if head.path == "/p" else HttpResponse(403, (), b"no")

    async def main() -> None:
        async with serving(body_limit=limit) as served:
            client = await served.connect()
            head = (
                b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n"
            )
            await client.send(head)
            assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            assert len(asked) == 1
            assert served.requests == []
            assert (await client.get(b"abc")).body == b"abc"
            # With the body at hand there is nothing to ask for.
            assert (await client.get(head + b"abc")).status == 200
            # Too large, and forbidden: the final answer comes at once.
            for refused, status in ((head.replace(b": 3", b": 11"), 413), (b"", 403)):
                other = await served.connect()
                response = await other.get(refused or head.replace(b"/p", b"/q"))
                assert response.status == status
                assert response.headers["connection"] == "close"
                assert await other.closed()
                other.close()
            client.close()

    run(main())


def test_the_limit_may_answer_and_keeps_the_connection_without_a_body() -> None:
    async def main() -> None:
        async with serving(body_limit=lambda _h: HttpResponse(404, (), b"none")) as served:
            client = await served.connect()
            for _ in range(3):
                response = await client.get()
                assert (response.status, response.body) == (404, b"none")
            await client.send(post(b"abc"))
            response = await client.response()
            assert (response.status, response.headers["connection"]) == (404, "close")
            assert await client.closed()
            client.close()
            assert served.requests == []

    run(main())


@pytest.mark.parametrize("answer", [-1, None, True, 1.5, "9", ZeroDivisionError])
def test_a_limit_that_is_none_denies(answer: Any) -> None:
    def limit(_head: HttpHead) -> Any:
        if isinstance(answer, type):
            raise answer
        return answer

    async def main() -> None:
        async with serving(body_limit=limit) as served:
            client = await served.connect()
            response = await client.get(post(b"abc"))
            assert (response.status, response.headers["connection"]) == (500, "close")
            client.close()
            assert served.requests == []
            assert len(served.errors) == 1

    run(main())


def test_head_gets_the_length_without_the_body() -> None:
    async def main() -> None:
        async with serving() as served:
            client = await served.connect()
            await client.send(b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
            response = await client.response(bodiless=True)
            assert response.headers["content-length"] == "2"
            assert (await client.response()).body == b"ok"
            # The same for the server's own errors.
            await client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999\r\n\r\n")
            assert (await client.response(bodiless=True)).status == 413
            assert await client.closed()
            client.close()

    run(main())


def test_options_asterisk_has_a_path_of_its_own() -> None:
    """So whoever decides about host names is asked about it as about all others."""

    async def main() -> None:
        async with serving() as served:
            client = await served.connect()
            for target in (b"*", b"/x"):
                request = b"OPTIONS " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n"
                assert (await client.get(request)).status == 200
            client.close()
            assert [request.head.path for request in served.requests] == ["*", "/x"]

    run(main())


def test_what_concerns_the_server_is_not_the_request_before_it_once_more() -> None:
    """Behind a proxy that shares connections, that one was another client's."""
    handled = 0

    async def main() -> None:
        async def answer(_request: HttpRequest) -> HttpResponse:
            nonlocal handled
            handled += 1
            return HttpResponse(200, (), b"secret")

        def route(head: HttpHead) -> Destination | HttpResponse:
            if head.path == "*":
                return HttpResponse(204)
            return Destination(100, answer, lambda: Destination(100, answer, plain=True), True)

        async with serving(route=route) as served:
            client = await served.connect()
            await client.send(GET)
            assert (await client.response()).body == b"secret"
            for _ in range(3):
                await client.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
                assert (await client.response(bodiless=True)).status == 204
            assert handled == 1
            await client.send(GET)
            assert (await client.response()).body == b"secret"
            client.close()

    run(main())


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket"])
def test_upgrades_are_ignored_even_with_a_body(protocol: bytes) -> None:
    fields = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + protocol)

    async def main() -> None:
        async with serving() as served:
            client = await served.connect()
            assert (await client.get(post(b"abc", *fields))).body == b"abc"
            assert (await client.get(post(b"", *fields, method=b"GET"))).status == 200
            assert (await client.get()).status == 200
            client.close()

    run(main())


@pytest.mark.parametrize("status", [204, 304])
def test_bodiless_statuses_have_neither_body_nor_length(status: int) -> None:
    async def handler(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(status, ((b"content-length", b"3"),), b"abc")

    async def main() -> None:
        async with serving(handler) as served:
            client = await served.connect()
            for _ in range(2):
                response = await client.get()
                assert (response.status, response.body) == (status, b"")
                assert "content-length" not in response.headers
            client.close()

    run(main())


def test_hop_by_hop_and_framing_fields_of_handlers_are_dropped() -> None:
    given = (
        (b"Content-Length", b"99"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Connection", b"x-hop"),
        (b"X-Hop", b"1"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Upgrade", b"h2c"),
        (b"Date", b"yesterday"),
        (b"X-Content-Type-Options", b"none"),
        (b"X-Kept", b"caf\xe9"),
        (b"Set-Cookie", b"a=b"),
    )

    async def handler(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, given, b"abc")

    async def main() -> None:
        async with serving(handler) as served:
            client = await served.connect()
            response = await client.get()
            assert sorted(response.headers) == [
                "Set-Cookie",
                "X-Kept",
                "content-length",
                "date",
                "x-content-type-options",
            ]
            assert response.headers["x-content-type-options"] == "nosniff"
            client.close()

    run(main())


BAD_RESPONSES: dict[str, Any] = {
    "CRLF in value": HttpResponse(200, ((b"x", b"a\r\nSet-Cookie: b"),)),
    "LF in value": HttpResponse(200, ((b"x", b"a\nb"),)),
    "CR in value": HttpResponse(200, ((b"x", b"a\rb"),)),
    "NUL in value": HttpResponse(200, ((b"x", b"a\0b"),)),
    "CRLF in name": HttpResponse(200, ((b"x\r\ny", b"a"),)),
    "colon in name": HttpResponse(200, ((b"x:y", b"a"),)),
    "empty name": HttpResponse(200, ((b"", b"a"),)),
    "injection through a dropped field": HttpResponse(200, ((b"Date", b"a\r\nb: c"),)),
    "text name": HttpResponse(200, (("x", b"a"),)),  # type: ignore[arg-type]
    "text value": HttpResponse(200, ((b"x", "a"),)),  # type: ignore[arg-type]
    "not pairs": HttpResponse(200, (b"xy",)),  # type: ignore[arg-type]
    "headers None": HttpResponse(200, None),  # type: ignore[arg-type]
    "status 100": HttpResponse(100),
    "status 99": HttpResponse(99),
    "status 600": HttpResponse(600),
    "status text": HttpResponse("200 OK\r\nx: y"),  # type: ignore[arg-type]
    "body text": HttpResponse(200, (), "abc"),  # type: ignore[arg-type]
    "body None": HttpResponse(200, (), None),  # type: ignore[arg-type]
    "None": None,
    "text": "hello",
}


@pytest.mark.parametrize("name", sorted(BAD_RESPONSES))
def test_responses_that_cannot_be_sent_become_a_plain_500(name: str) -> None:
    async def handler(request: HttpRequest) -> Any:
        return BAD_RESPONSES[name] if request.head.path == "/x" else HttpResponse(200)

    async def main() -> None:
        async with serving(handler) as served:
            client = await served.connect()
            response = await client.get()
            assert response.status == 500
            assert msgspec.json.decode(response.body) == {
                "type": "urn:casemate:problem:internal",
                "title": "Internal error",
                "status": 500,
                "detail": "The request could not be answered.",
                "error_id": "e1",
            }
            assert "Set-Cookie" not in response.headers
            assert (await client.get(GET.replace(b"/x", b"/y"))).status == 200
            client.close()
            assert len(served.errors) == 1

    run(main())


@pytest.mark.parametrize("kind", [ValueError, asyncio.CancelledError, TimeoutError, OSError])
def test_what_a_handler_raises_stays_with_the_owner(kind: type[BaseException]) -> None:
    async def handler(_request: HttpRequest) -> HttpResponse:
        raise kind("secret detail")

    async def main() -> None:
        async with serving(handler) as served:
            client = await served.connect()
            for number in (1, 2):
                response = await client.get(post(b"body"))
                assert response.status == 500
                assert f"e{number}".encode() in response.body
                assert b"secret" not in response.body
                assert b"Error" not in response.body.replace(b"Internal Server Error", b"")
            assert [type(error) for error in served.errors] == [kind, kind]
            client.close()

    run(main())


def test_a_failing_on_error_or_problem_still_gives_an_answer() -> None:
    def fails(*_arguments: object) -> Any:
        raise RuntimeError("secret")

    async def main() -> None:
        server = HttpServer(leading_to(fails, lambda _h: 1), on_error=fails, problem=fails)
        await server.start()
        client = Client(*await asyncio.open_connection(*server.address))
        response = await client.get()
        assert response.status == 500
        assert b"secret" not in response.body
        assert (await client.get(b"X / HTTP/1.1\r\n\r\n")).status == 501
        client.close()
        await server.close()

    run(main())


def test_problems_come_from_the_given_function() -> None:
    def problem(status: int, detail: str, error_id: str | None) -> HttpResponse:
        return HttpResponse(status, ((b"x-by", b"us"),), f"{detail}|{error_id}".encode())

    async def main() -> None:
        async with serving(problem=problem) as served:
            client = await served.connect()
            response = await client.get(b"GET / HTTP/1.1\r\n\r\n")
            assert response.headers["x-by"] == "us"
            assert response.body == b"The request has no Host header field.|None"
            client.close()

    run(main())


def test_handlers_can_close_the_connection() -> None:
    async def handler(request: HttpRequest) -> HttpResponse:
        if request.head.path == "/x":
            return HttpResponse(200, close=True)
        return HttpResponse(200, ((b"Connection", b"Close"),))

    async def main() -> None:
        async with serving(handler) as served:
            for request in (GET, GET.replace(b"/x", b"/y")):
                client = await served.connect()
                assert (await client.get(request)).headers["connection"] == "close"
                assert await client.closed()
                client.close()

    run(main())


@pytest.mark.parametrize("reset", [False, True])
def test_a_disconnect_does_not_cancel_the_handler(reset: bool) -> None:
    async def main() -> None:
        started, gate, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def handler(_request: HttpRequest) -> HttpResponse:
            started.set()
            await gate.wait()
            finished.set()
            return HttpResponse(200, (), b"x" * 1_000_000)

        async with serving(handler) as served:
            client = await served.connect()
            await client.send(post(b"abc"))
            await started.wait()
            if reset:
                client.reset()
                while served.server.open_connections:
                    await asyncio.sleep(0.005)
            else:
                client.close()
                await asyncio.sleep(0.02)
            assert served.running == 1
            gate.set()
            await asyncio.wait_for(finished.wait(), 60)
            await served.settled()
            assert served.errors == []

    run(main())


def test_a_half_closed_client_gets_its_answers() -> None:
    async def handler(_request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0.05)
        return HttpResponse(200, (), b"done")

    async def main() -> None:
        async with serving(handler) as served:
            client = await served.connect()
            await client.send(GET + GET)
            client.writer.write_eof()
            assert (await client.rest()).count(b"done") == 2
            client.close()
            await served.settled()

    run(main())


@pytest.mark.parametrize(
    "half", [b"", b"G", GET[:-2], post(b"abc")[:-1], b"\r", b"\r\n", GET + GET[:9]]
)
@pytest.mark.parametrize("how", ["eof", "abort"])
def test_half_sent_requests_leave_nothing(half: bytes, how: str) -> None:
    async def main() -> None:
        async with serving() as served:
            client = await served.connect()
            await client.send(half)
            await asyncio.sleep(0.02)
            if how == "eof":
                client.writer.write_eof()
                assert (await client.rest()).count(b"200 OK") == half.count(b"\r\n\r\n") // 1 * (
                    half.startswith(GET)
                )
            client.writer.transport.abort()
            await served.settled()
            assert len(served.requests) == half.startswith(GET)
            assert served.server._context is not None
            assert served.server._context.buffered == 0
            assert served.server._context.counter.open == 0

    run(main())


def test_it_listens_on_a_given_socket_and_on_a_unix_socket(tmp_path: Any) -> None:
    async def ask(sock: socket.socket, connect: Any) -> None:
        async def ok(_request: HttpRequest) -> HttpResponse:
            return HttpResponse(200, (), b"ok")

        server = HttpServer(leading_to(ok, lambda _h: 1), on_error=str)
        await server.start(sock=sock)
        reader, writer = await connect()
        assert (await Client(reader, writer).get(GET_CLOSE)).body == b"ok"
        writer.close()
        await server.close()
        assert sock.fileno() == -1

    async def main() -> None:
        inet = socket.create_server(("127.0.0.1", 0))
        address = inet.getsockname()
        await ask(inet, lambda: asyncio.open_connection(*address))
        path = str(tmp_path / "s")
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(path)
        unix.listen()
        await ask(unix, lambda: asyncio.open_unix_connection(path))

    run(main())


def test_a_request_of_a_client_that_has_reset_is_not_one_of_nobody() -> None:
    """It was counted, limited and recorded as one of a Unix socket, which has no address."""

    async def main() -> None:
        async with serving() as served:
            for _ in range(20):  # all of it before the server has seen the connection
                with socket.create_connection(("127.0.0.1", served.port)) as sock:
                    sock.sendall(GET)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            assert (await served.talk(GET_CLOSE)).startswith(b"HTTP/1.1 200 ")
            await served.settled()
            assert {request.head.peer for request in served.requests} == {"127.0.0.1"}

    run(main())


def test_an_address_in_use_is_a_clear_error() -> None:
    async def main() -> None:
        async with serving() as served:
            second = HttpServer(None, on_error=str)  # type: ignore[arg-type]
            with pytest.raises(ListenError, match=r"Cannot listen on 127\.0\.0\.1 port"):
                await second.start(port=served.port)
            with pytest.raises(ListenError, match="started before"):
                await served.server.start()
            with pytest.raises(ListenError):
                await second.start("host.invalid", 80)

    run(main())


@pytest.mark.parametrize("admit", [None, lambda _peer: True], ids=["plain", "asked"])
def test_a_socket_whose_address_another_listens_on_by_now_is_a_clear_error(admit: Any) -> None:
    """Both were bound before either listened. The loop said of the second that it serves."""

    async def main() -> None:
        first, second = socket.socket(), socket.socket()
        for each in (first, second):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind(first.getsockname() if each is second else ("127.0.0.1", 0))
        first.listen()
        server = HttpServer(None, on_error=str, admit=admit)  # type: ignore[arg-type]
        with pytest.raises(ListenError, match=r"Cannot listen on the socket: .*in use"):
            await server.start(sock=second)
        first.close()

    run(main())


def test_close_cancels_handlers_and_may_be_called_twice() -> None:
    async def forever(_request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(3600)
        return HttpResponse(200)

    async def main() -> None:
        async with serving(forever) as served:
            client = await served.connect()
            await client.send(GET)
            while not served.requests:
                await asyncio.sleep(0.005)
            await served.server.close()
            assert served.running == 0
            assert await client.closed()
            await served.server.close()
            assert await served.server.drain() == 0
            client.close()
            assert served.errors == []

    run(main())


def test_close_forgets_a_handler_that_had_not_begun() -> None:
    """Its task was made but has not run yet when the server is closed."""
    closing: list[asyncio.Task[None]] = []

    def body_limit(_head: HttpHead) -> int:
        # Its first step comes before that of the handler, which is made after this returns.
        closing.append(asyncio.ensure_future(served.server.close()))
        return 100_000

    async def main() -> None:
        nonlocal served
        async with asyncio.timeout(60), serving(body_limit=body_limit) as served:
            client = await served.connect()
            await client.send(GET)
            assert await client.closed()
            await asyncio.gather(*closing)
            assert served.requests == []
            client.close()

    served: Served
    run(main())
    assert closing


def test_a_server_that_was_never_started_closes() -> None:
    async def main() -> None:
        server = HttpServer(None, HttpLimits(), on_error=str)  # type: ignore[arg-type]
        assert await server.drain() == 0
        await server.close()
        assert Served(server).server.open_connections == 0

    run(main())
