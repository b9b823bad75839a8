"""Webhook, mail and syslog against real servers, and against those that mean harm."""

from __future__ import annotations

import asyncio
import base64
import email
import hashlib
import hmac
import json
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from email import policy
from ipaddress import ip_address
from typing import Any

import msgspec
import pytest

from casemate.model.level import Level
from casemate.monitor import messages, syslog
from casemate.monitor.errors import UndeliveredError
from casemate.monitor.findings import Found
from casemate.monitor.mail import MailChannel
from casemate.monitor.messages import Kind, Message
from casemate.monitor.outlet import Outlet
from casemate.monitor.reaching import Reach
from casemate.monitor.settings import Channel
from casemate.monitor.syslog import SyslogChannel
from casemate.monitor.webhook import WebhookChannel
from support.egress import Origin, TestAuthority
from support.monitor import MailServer, Receiver, SyslogServer, found, not_own, running, signed

LOCAL = ["private", "plaintext"]


@pytest.fixture(scope="module")
def authority() -> TestAuthority:
    return TestAuthority()


def settings(kind: str, **fields: Any) -> Any:
    return msgspec.convert({"kind": kind, "accept": LOCAL, **fields}, Channel)  # type: ignore[arg-type]


def message(*numbers: int) -> Message:
    chosen = tuple(found(n) for n in numbers or (1,))
    return Message(kind=Kind.FINDING, node="node.example.org", at=1.0, found=chosen)


async def post(port: int, **more: Any) -> None:
    chosen = settings(
        "webhook", secret="ops/key", **{"url": f"http://127.0.0.1:{port}/hook?a=1"} | more
    )
    await WebhookChannel(chosen, Reach(not_own), 0, signed).send(message())


# -- webhook ---------------------------------------------------------------------------------------


@running
async def test_a_webhook_is_signed_json() -> None:
    with Receiver() as receiver:
        await post(receiver.port)
        [(_, headers, body)] = receiver.requests
    assert headers[":request"] == "POST /hook?a=1 HTTP/1.1"
    assert headers["host"] == f"127.0.0.1:{receiver.port}"
    told = json.loads(body)
    assert told["id"] == headers["webhook-id"] == found(1).id
    assert told["node"] == "node.example.org"
    assert told["findings"][0]["rule"] == "tokens-tried"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    right = base64.b64encode(hmac.digest(b"key", text, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{right}"


@running
async def test_a_webhook_over_tls_verifies_who_answers(authority: TestAuthority) -> None:
    ca = authority.path.read_text()
    with Receiver(authority.context("127.0.0.1")) as receiver:
        await post(receiver.port, url=f"https://127.0.0.1:{receiver.port}/", ca=ca)
        assert len(receiver.requests) == 1
        with pytest.raises(ssl.SSLError):
            other = TestAuthority().path.read_text()
            await post(receiver.port, url=f"https://127.0.0.1:{receiver.port}/", ca=other)
    with Receiver(authority.context("elsewhere.test")) as receiver:
        with pytest.raises(ssl.SSLError):
            await post(receiver.port, url=f"https://127.0.0.1:{receiver.port}/", ca=ca)
        assert receiver.requests == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 500 Oh\r\n\r\n", "answers 500"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "answers 404"),
        (b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n\r\n", "redirects"),
        (b"SSH-2.0-OpenSSH\r\n", "no HTTP"),
        (b"HTTP/1.1 xyz\r\n\r\n", "no HTTP"),
        (b"", "no HTTP"),
        (b"HTTP/1.1 200" + b"x" * 100_000, "too long"),
        (b"HTTP/1.1 103 Early\r\n\r\n" * 9, "does not come to an answer"),
        (b"HTTP/1.1 103 Early\r\n" + b"a: b\r\n" * 100_000, "no HTTP"),
    ],
)
def test_what_a_webhook_answers_is_read_no_further_than_needed(answer: bytes, why: str) -> None:
    async def run() -> None:
        with Receiver() as receiver:
            receiver.answer = answer
            with pytest.raises(UndeliveredError, match=why):
                await post(receiver.port)

    asyncio.run(run())


@running
async def test_an_early_hint_before_the_answer_is_passed_over() -> None:
    with Receiver() as receiver:
        receiver.answer = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
        await post(receiver.port)


@running
async def test_a_redirect_to_the_inside_is_not_followed() -> None:
    with Receiver() as inside, Receiver() as receiver:
        to = f"http://127.0.0.1:{inside.port}/".encode()
        receiver.answer = b"HTTP/1.1 307 Moved\r\nlocation: " + to + b"\r\n\r\n"
        with pytest.raises(UndeliveredError, match="not followed"):
            await post(receiver.port)
        assert inside.requests == []


@running
async def test_an_answer_without_end_is_not_waited_for() -> None:
    sent = 0

    def endless(sock: socket.socket) -> None:
        nonlocal sent
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        while True:
            sent += sock.send(b"x" * 65536)

    with Origin(endless) as origin:
        began = time.monotonic()
        await post(origin.port)
        assert time.monotonic() - began < 30
        await asyncio.sleep(0.2)
        assert sent < 64 << 20


def _private() -> Iterator[tuple[str, Callable[[Any], bool], str]]:
    yield "http://127.0.0.1:{port}/", not_own, "loopback"
    yield "http://10.1.2.3/", not_own, "private"
    yield "http://169.254.169.254/latest/", not_own, "metadata"
    yield "http://[64:ff9b:1::7]/", not_own, "embedded"
    yield "http://8.8.8.8/", lambda _address: True, "own"


@pytest.mark.parametrize(("url", "is_own", "kind"), list(_private()))
def test_addresses_inside_are_refused_unless_they_are_accepted(
    url: str, is_own: Callable[[Any], bool], kind: str
) -> None:
    async def run() -> None:
        with Receiver() as receiver:
            chosen = settings(
                "webhook",
                url=url.format(port=receiver.port),
                secret="ops/key",
                accept=["plaintext"],
            )
            with pytest.raises(UndeliveredError, match=kind):
                await WebhookChannel(chosen, Reach(is_own), 0, signed).send(message())
            assert receiver.requests == []

    asyncio.run(run())


@running
async def test_metadata_is_refused_by_name_even_where_the_inside_is_accepted() -> None:
    reach = Reach(not_own)
    chosen = settings("webhook", url="http://metadata.test/", secret="ops/key")

    async def resolve(_place: int, _host: str) -> tuple[Any, ...]:
        return (ip_address("169.254.169.254"),)

    reach._resolver.resolve = resolve  # type: ignore[method-assign]
    with pytest.raises(UndeliveredError, match="metadata"):
        await WebhookChannel(chosen, reach, 0, signed).send(message())


# -- mail ------------------------------------------------------------------------------------------


async def mail(server: MailServer, ca: str, found: tuple[Found, ...] = (), **more: Any) -> None:
    chosen = settings(
        "mail",
        server=f"127.0.0.1:{server.port}",
        sender="node@example.org",
        to=["ada@example.org", "grace@example.org"],
        ca=ca,
        **more,
    )

    async def password(_secret: str) -> str:
        return "correct horse"

    told = message(1, 2)
    told = msgspec.structs.replace(told, found=found or told.found)
    await MailChannel(chosen, Reach(not_own), 0, password).send(told)


@pytest.mark.parametrize("starttls", [False, True])
def test_a_mail_arrives(authority: TestAuthority, starttls: bool) -> None:
    server = MailServer(authority.context("127.0.0.1"), starttls=starttls)
    ca = authority.path.read_text()
    asyncio.run(mail(server, ca, starttls=starttls, user="node", password="ops/smtp"))
    [(sender, to, data)] = server.mails
    assert sender == "FROM:<node@example.org>"
    assert to == ["TO:<ada@example.org>", "TO:<grace@example.org>"]
    read = email.message_from_bytes(data, policy=policy.default)
    assert read["subject"].strip().startswith("Casemate [high] Tokens are tried (and 1 more)")
    assert f"casemate findings show {found(1).id}" in read.get_content()
    assert base64.b64decode(server.credentials[0].split()[1]) == b"\0node\0correct horse"
    assert not any(b"AUTH" in line or b"DATA" in line for line in server.in_clear)
    server.close()


def test_a_server_that_takes_tls_away_gets_no_password(authority: TestAuthority) -> None:
    server = MailServer(authority.context("127.0.0.1"), starttls=True)
    server.offers = False
    with pytest.raises(UndeliveredError, match="STARTTLS"):
        asyncio.run(
            mail(server, authority.path.read_text(), starttls=True, user="n", password="ops/smtp")
        )
    assert server.credentials == []
    assert server.mails == []
    server.close()


@pytest.mark.parametrize(
    "greeting", [b"HTTP/1.1 400 Bad\r\n", b"220-" + b"x" * 100_000, b"220-a\r\n" * 1000, b"\xff\n"]
)
def test_rubbish_of_a_mail_server_is_bounded(authority: TestAuthority, greeting: bytes) -> None:
    server = MailServer(authority.context("127.0.0.1"))
    server.greeting = greeting
    with pytest.raises(UndeliveredError):
        asyncio.run(mail(server, authority.path.read_text()))
    server.close()


def test_a_refused_recipient_is_told(authority: TestAuthority) -> None:
    server = MailServer(authority.context("127.0.0.1"))
    server.refuses = True
    with pytest.raises(UndeliveredError, match="550 no"):
        asyncio.run(mail(server, authority.path.read_text()))
    assert server.mails == []
    server.close()


# -- syslog ----------------------------------------------------------------------------------------


def test_a_line_of_syslog_arrives_over_tls(authority: TestAuthority) -> None:
    server = SyslogServer(authority.context("127.0.0.1"))
    chosen = settings("syslog", server=f"127.0.0.1:{server.port}", ca=authority.path.read_text())
    evil = found(1, entity='user="x] y\\\r\n<1>1', level=Level.CRITICAL)
    sent = Message(kind=Kind.FINDING, node="node", at=1.0, found=(evil,))
    asyncio.run(SyslogChannel(chosen, Reach(not_own), 0).send(sent))
    deadline = time.monotonic() + 5
    while not server.lines and time.monotonic() < deadline:
        time.sleep(0.01)
    [line] = server.lines
    assert line.startswith(b"<106>1 2026-03-02T00:00:01Z node casemate - finding [casemate@32473 ")
    assert b"\n" not in line and b"\r" not in line
    assert rb'entity="user=\"x\] y\\??<1>1"' in line
    server.close()


def test_a_datagram_of_syslog_arrives() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(5)
        chosen = settings("syslog", server=f"127.0.0.1:{sock.getsockname()[1]}", udp=True)
        asyncio.run(SyslogChannel(chosen, Reach(not_own), 0).send(messages.test_message("node")))
        assert sock.recv(4096).startswith(b"<110>1 ")
        inside = settings(
            "syslog", server=f"127.0.0.1:{sock.getsockname()[1]}", udp=True, accept=["plaintext"]
        )
        with pytest.raises(UndeliveredError, match="loopback"):
            asyncio.run(
                SyslogChannel(inside, Reach(not_own), 0).send(messages.test_message("node"))
            )


@pytest.mark.parametrize("at", [1e308, -1e308, 1e18, float("inf"), float("nan"), -1.0])
def test_a_finding_of_any_time_is_told(at: float) -> None:
    """Another node may tell of a time that no calendar has."""
    told = Message(kind=Kind.FINDING, node="node", at=1.0, found=(found(1, at=at),))
    assert "UTC" in messages.text(told)
    assert b"tokens-tried" in syslog.line(told)


# -- what attackers wrote --------------------------------------------------------------------------

ENCODED = "=?utf-8?q?a=0d=0aBcc:_eve@example.com=0d=0a=0d=0aPay_here?="


def test_no_text_of_an_attacker_is_read_as_part_of_a_head(authority: TestAuthority) -> None:
    """Encoded words are decoded where a subject is set, and again by whoever gets it."""
    server = MailServer(authority.context("127.0.0.1"))
    for entity in (f"user={ENCODED}", "x\r\nBcc: eve@example.com", f"{'x' * 90}={ENCODED}é"):
        asyncio.run(mail(server, authority.path.read_text(), found=(found(1, entity=entity),)))
    server.close()
    for _, to, data in server.mails:
        assert to == ["TO:<ada@example.org>", "TO:<grace@example.org>"]
        read = email.message_from_bytes(data, policy=policy.default)
        assert "bcc" not in read and not {"\r", "\n"} & set(str(read["subject"]))
        assert "Pay here" not in read["subject"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("https://evil.example/reset?a=1", "https[:]//evil[.]example/reset?a=1"),
        ("www.evil.example", "www[.]evil[.]example"),
        ("ada@mail.example", "ada@mail[.]example"),
        ("evil\N{FULLWIDTH FULL STOP}example", "evil[.]example"),
        ("b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example", "b\xfccher[.]example"),
        ("192.0.2.7", "192.0.2.7"),
        ("v1.2", "v1.2"),
    ],
)
def test_nothing_of_an_attacker_is_a_link(value: str, shown: str) -> None:
    """Names of fields are the rule's, and what programs get is as it was."""
    told = Message(kind=Kind.FINDING, node="n", at=1.0, found=(found(1, entity=f"a.b={value}"),))
    assert f"a.b={shown}\n" in messages.text(told)
    assert told.subject.endswith(f": a.b={shown}")
    assert messages.document(told)["findings"][0]["entity"] == f"a.b={value}"


def test_nothing_of_an_attacker_is_there_and_not_seen() -> None:
    """Python calls a filler and a joiner printable: they are letters, without a picture."""
    unseen = "\u3164\u034f\ufe0f\ufe0f\U000e0041"
    told = Message(kind=Kind.FINDING, node="n", at=1.0, found=(found(1, entity=f"a={unseen}b"),))
    for shown in (messages.text(told), told.subject):
        assert not set(unseen) & set(shown) and "a=?????b" in shown


def test_what_a_mail_server_does_not_take_is_not_held_for_it(authority: TestAuthority) -> None:
    def deaf(sock: socket.socket) -> None:
        sock.sendall(b"220 mail.test\r\n")
        time.sleep(1)

    async def run(port: int) -> None:
        chosen = settings(
            "mail",
            server=f"127.0.0.1:{port}",
            sender="node@example.org",
            to=["ada@example.org"],
            ca=authority.path.read_text(),
        )

        async def password(_secret: str) -> str:
            return ""

        opened: list[asyncio.StreamWriter] = []
        reach = Reach(not_own)
        real = reach.open

        async def kept(*given: Any, **named: Any) -> Any:
            reader, writer = await real(*given, **named)
            opened.append(writer)
            return reader, writer

        reach.open = kept  # type: ignore[method-assign]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await MailChannel(chosen, reach, 0, password).send(message())
        await asyncio.sleep(0)
        left = opened[0].transport.get_extra_info("socket")
        assert left is None or left.fileno() == -1

    with Origin(deaf, authority.context("127.0.0.1")) as origin:
        asyncio.run(run(origin.port))


@running
async def test_a_name_is_connected_to_where_it_was_when_it_was_checked() -> None:
    """Servers of names may say something else each time."""
    reach, asked, connected = Reach(not_own), 0, []

    async def resolve(_place: int, _host: str) -> tuple[Any, ...]:
        nonlocal asked
        asked += 1
        return (ip_address("8.8.8.8" if asked % 2 else "127.0.0.1"),)

    async def connect(address: Any, _port: int) -> socket.socket:
        connected.append(str(address))
        raise OSError

    reach._resolver.resolve = resolve  # type: ignore[method-assign]
    reach._access._connector.connect = connect  # type: ignore[method-assign]
    chosen = msgspec.structs.replace(
        settings("webhook", url="http://turns.test/", secret="ops/key"), accept=("plaintext",)
    )
    for why in ("cannot be connected", "loopback") * 3:
        with pytest.raises(UndeliveredError, match=why):
            await WebhookChannel(chosen, reach, 0, signed).send(message())
    assert connected == ["8.8.8.8"] * 3


@pytest.mark.parametrize("stalls", ["before TLS", "after TLS", "drips"])
def test_a_server_of_syslog_that_stalls_is_given_up_and_nothing_of_it_is_left(
    authority: TestAuthority, stalls: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casemate.monitor.outlet.ATTEMPT_SECONDS", 0.3)

    def stall(sock: socket.socket) -> None:
        for _ in range(20):
            if stalls == "drips":
                sock.sendall(b"\x16\x03")
            time.sleep(0.05)

    async def run(port: int) -> str:
        ca = authority.path.read_text()
        chosen = settings("syslog", server=f"127.0.0.1:{port}", ca=ca)
        channel = SyslogChannel(chosen, Reach(not_own), 0)
        outlet = Outlet("siem", chosen, channel.send, node="n", tell=lambda _fact: None)
        before = set(os.listdir("/proc/self/fd"))
        problem = await outlet.deliver(message())
        await asyncio.sleep(0.05)
        assert len(set(os.listdir("/proc/self/fd")) - before) <= 2  # the server's own end
        return problem

    context = authority.context("127.0.0.1") if stalls == "after TLS" else None
    with Origin(stall, context) as origin:
        began = time.monotonic()
        problem = asyncio.run(run(origin.port))
        # Syslog acknowledges nothing: who reads nothing of it has taken it as far as one knows.
        assert problem or stalls == "after TLS"
        assert time.monotonic() - began < 30
