"""Collectors and servers of syslog: real ones of tests, and such as mean harm."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from typing import Any

import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from test_exports_encoding import line, record

from casemate.model.tracing import Span
from casemate.monitor.errors import BusyError, RefusedError, TooLargeError, UndeliveredError
from casemate.monitor.exports import otlp
from casemate.monitor.exports.collector import MAX_LATER_SECONDS, Collector, Delivered
from casemate.monitor.exports.lines import MAX_TEXT_BYTES, SyslogExport, shown
from casemate.monitor.exports.settings import Export
from casemate.monitor.reaching import Reach
from casemate.recorder.records.lending import MAX_CHARACTERS
from support.egress import Origin, TestAuthority
from support.monitor import SyslogServer, not_own, running
from support.otlp import Answer
from support.otlp import Collector as Receiver
from support.waiting import until

BODY = otlp.traces("node", [record()])


def export(**fields: Any) -> Any:
    values = {"kind": "otlp", "accept": ["private", "plaintext"], **fields}
    return msgspec.convert(values, Export)  # type: ignore[arg-type]


async def password(secret: str) -> str:
    return {"ops/token": "Bearer s3cret\n", "ops/evil": "a\r\nx-role: admin"}[secret]


async def send(url: str, body: bytes = BODY, **fields: Any) -> Delivered:
    return await Collector(export(url=url, **fields), Reach(not_own), 1, password).send(
        "traces", body
    )


@running
async def test_what_is_sent_arrives_with_its_headers() -> None:
    with Receiver() as receiver:
        done = await send(
            f"{receiver.url}/",
            headers={"X-Tenant": "a b"},
            secret_headers={"Authorization": "ops/token"},
        )
        assert done == Delivered()
        [(path, headers, request)] = receiver.requests
    assert path == "/v1/traces"
    assert headers["content-type"] == "application/x-protobuf"
    assert headers["x-tenant"] == "a b" and headers["authorization"] == "Bearer s3cret"
    assert request.resource_spans[0].scope_spans[0].spans[0].name == "orders"


@running
async def test_a_secret_cannot_add_headers_and_is_told_to_nobody() -> None:
    with Receiver() as receiver:
        with pytest.raises(UndeliveredError) as caught:
            await send(receiver.url, secret_headers={"authorization": "ops/evil"})
        assert "admin" not in str(caught.value)
        assert receiver.asked == 0


@running
async def test_who_answers_over_tls_is_verified() -> None:
    authority = TestAuthority()
    with Receiver(authority.context("127.0.0.1")) as receiver:
        url = f"https://127.0.0.1:{receiver.port}"
        await send(url, ca=authority.path.read_text(), accept=["private"])
        with pytest.raises(OSError, match="certificate verify failed"):
            await send(url, ca=TestAuthority().path.read_text(), accept=["private"])
        assert receiver.asked == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RefusedError),
        (413, TooLargeError),
        (401, UndeliveredError),
        (403, UndeliveredError),
        (404, UndeliveredError),
        (429, BusyError),
        (500, UndeliveredError),
        (502, BusyError),
        (503, BusyError),
        (301, UndeliveredError),
        (307, UndeliveredError),
    ],
)
def test_each_status_means_one_thing(status: int, kind: type[UndeliveredError]) -> None:
    async def run() -> None:
        with Receiver() as receiver:
            receiver.answer = lambda _path, _request: Answer(status, retry_after="7")
            with pytest.raises(UndeliveredError, match=str(status)) as caught:
                await send(receiver.url)
            assert type(caught.value) is kind
            if isinstance(caught.value, BusyError):
                assert caught.value.seconds == 7

    asyncio.run(run())


@pytest.mark.parametrize(
    "told", ["-1", "9" * 400, "1e9", "Wed, 21 Oct 2026 07:28:00 GMT", "\u0663"]
)
def test_nobody_is_waited_for_without_end(told: str) -> None:
    async def run() -> None:
        with Receiver() as receiver:
            header = told.encode().decode("latin-1")
            receiver.answer = lambda _path, _request: Answer(503, retry_after=header)
            with pytest.raises(BusyError) as caught:
                await send(receiver.url)
            assert 0 <= caught.value.seconds <= MAX_LATER_SECONDS

    asyncio.run(run())


@running
async def test_a_redirect_to_the_inside_is_not_followed() -> None:
    with Receiver() as inside, Receiver() as receiver:
        to = f"{inside.url}/v1/traces"
        receiver.answer = lambda _path, _request: Answer(307, location=to)
        with pytest.raises(UndeliveredError, match="not followed"):
            await send(receiver.url)
        assert inside.asked == 0


@running
async def test_an_address_inside_is_refused_unless_it_is_meant() -> None:
    with Receiver() as receiver:
        with pytest.raises(UndeliveredError, match="not connected to"):
            await send(receiver.url, accept=["plaintext"])
        assert receiver.asked == 0


@running
async def test_items_that_were_not_taken_are_told() -> None:
    partial = ExportTracePartialSuccess(rejected_spans=4, error_message="no\nroom\x1b[2J")
    body = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
    with Receiver() as receiver:
        receiver.answer = lambda _path, _request: Answer(200, body)
        assert await send(receiver.url) == Delivered(4, "no?room?[2J")
        receiver.answer = lambda _path, _request: Answer(200, b"<html>" * 99)
        assert await send(receiver.url) == Delivered()


@running
async def test_a_gigabyte_of_an_answer_is_not_read() -> None:
    sent = 0

    def endless(sock: socket.socket) -> None:
        nonlocal sent
        sock.recv(65536)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\n"
        sock.sendall(head + b"content-length: 1000000000\r\n\r\n")
        while True:
            sent += sock.send(b"x" * 65536)

    with Origin(endless) as origin:
        began = time.monotonic()
        assert await send(f"http://127.0.0.1:{origin.port}") == Delivered()
        assert time.monotonic() - began < 60
        await asyncio.sleep(0.2)
        assert sent < 64 << 20


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100_000,
        b"HTTP/1.1 200 OK\r\na: " + b"x" * 200_000,
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: \xd9\xa3\r\n\r\n",
        b"",
    ],
)
def test_answers_without_sense_are_bounded_and_named(answer: bytes) -> None:
    def answers(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(answer)

    async def run() -> None:
        with Origin(answers) as origin:
            try:
                await send(f"http://127.0.0.1:{origin.port}")
            except (UndeliveredError, OSError, EOFError) as error:
                assert str(error)

    asyncio.run(asyncio.wait_for(run(), 10))


@running
async def test_lines_arrive_by_syslog_over_tls() -> None:
    authority = TestAuthority()
    server = SyslogServer(authority.context("127.0.0.1"))
    chosen = export(
        kind="syslog", server=f"127.0.0.1:{server.port}", ca=authority.path.read_text(),
        accept=["private"],
    )  # fmt: skip
    evil = 'x\n<1>1 2026-01-01T00:00:00Z forged su - - - root\x1b[2J" ]'
    sent = [line("plain"), line(evil, sequence=6, level="critical", project='p"]\\')]
    await SyslogExport(chosen, Reach(not_own), 1, "node").send(sent)
    await until(lambda: len(server.lines) == 2)
    first, second = server.lines
    assert re.match(
        rb'<108>1 2026-03-02T00:00:00.500000Z node casemate - line \[casemate@32473 project="shop" '
        rb'function="orders" version="7" invocation="inv_01a21a5c499d6d1728d66ddc" level="warning" '
        rb'uid="5" trace="[0-9a-f]{32}"\] \xef\xbb\xbfplain$',
        first,
    )
    assert second.startswith(b"<106>1 ") and b"\n" not in second and b"\x1b" not in second
    assert rb'project="p\"\]\\"' in second and rb"x\n<1>1 2026" in second
    server.close()


def test_a_line_is_bounded_and_shown_harmlessly() -> None:
    began = time.process_time()
    for letter in ("\x1b", "a", "\u2603", "\U0001f600", "\U000e0001", "\ud800"):
        for count in (1, 700, 7001, 16384):
            found = shown(letter * count).encode()
            assert len(found) <= MAX_TEXT_BYTES + 3
            assert found.endswith(b"...") or len(found) == len(shown(letter).encode()) * count
    assert shown("h\u00e9 \u2603") == "h\u00e9 \u2603"
    assert shown("a\u202eb\u2028c") == "a\\u202eb\\u2028c"
    # Letters without a picture: Python calls these printable.
    assert shown("\u3164\u034f\ufe0f\ufe0f") == "\\u3164\\u034f\\ufe0f\\ufe0f"
    assert time.process_time() - began < 1


@running
async def test_names_that_hang_hold_the_thread_of_no_other() -> None:
    gate = threading.Event()
    asked: list[str] = []

    def lookup(host: bytes, *_: Any, **__: Any) -> list[Any]:
        asked.append(host.decode())
        if host.startswith(b"hangs"):
            gate.wait(20)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    with Receiver() as receiver:
        reach = Reach(not_own, places=9)
        reach._resolver._lookup = lookup
        hanging = [
            asyncio.create_task(
                Collector(
                    export(url=f"http://hangs-{n}.test:{receiver.port}"), reach, n, password
                ).send("traces", BODY)
            )
            for n in range(8)
        ]
        await until(lambda: len(asked) == 8)
        well = export(url=f"http://well.test:{receiver.port}")
        await asyncio.wait_for(Collector(well, reach, 8, password).send("traces", BODY), 5)
        gate.set()
        await asyncio.gather(*hanging, return_exceptions=True)


def test_what_is_lent_at_once_is_encoded_soon() -> None:
    """Of hostile records: all of the monitor waits meanwhile."""
    text = "\x1b" * 16 * 1024
    rows = [line(text, sequence=n) for n in range(MAX_CHARACTERS // len(text) + 1)]
    began = time.process_time()
    for each in rows:
        shown(each.line.text)
    otlp.logs("node", rows)
    used = tuple(Span(name="queue.send", on="queue jobs", start_ms=1.0, ms=2.0) for _ in range(64))
    # Some 40 characters of JSON each, as they are stored.
    records = [record(spans=used) for _ in range(MAX_CHARACTERS // (64 * 40) + 1)]
    otlp.traces("node", records)
    assert time.process_time() - began < 1
