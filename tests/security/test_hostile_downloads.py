"""Servers that are asked for one thing, and answer with their worst.

A mirror of advisories, an index of packages, a provider of identities, a CI system, a receiver of
alerts, a collector: whoever asks is done within its time and its bounds, and says what was wrong.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from casemate.accounts.oidc import Issuer, KeySource
from casemate.accounts.oidc import provider as provider_module
from casemate.advisories import limits as advisory_limits
from casemate.advisories import mirror
from casemate.cli import authority, oidc_login, workload_login
from casemate.model.errors import CasemateError
from casemate.model.oidc import ProviderLoginStart
from casemate.monitor.exports.collector import Collector
from casemate.monitor.exports.settings import Export
from casemate.monitor.reaching import Reach
from casemate.monitor.settings import Channel
from casemate.monitor.webhook import WebhookChannel
from casemate.package_index import limits as index_limits
from casemate.package_index.upstream import Upstream
from support.hostile_http import ANSWERS, CHUNKED, HostileServer, answered, forever, once
from support.monitor import found, not_own, signed

SECONDS = 0.4
SLOW = [
    "100 for ever",
    "100 for ever, slowly",
    "103 with heads for ever",
    "a head byte by byte",
    "a line feed for ever",
    "a head without end",
    "a line without end",
    "an extension byte by byte",
    "an extension without end",
    "a size without end",
    "a body byte by byte",
    "chunks of a byte, slowly",
    "trailers byte by byte",
    "trailers without end",
    "silence",
]
PACKED = [
    "a gzip bomb",
    "a gzip of nothing, five times",
    "a name of a gzip without end",
    "what follows a gzip, without end",
    "br",
    "zstd",
]
DEEP = ["JSON 100,000 deep", "a member 100,000 deep", "a number of a million digits", "UTF-16"]
LONG = ["a body without end", "chunks without end", "a length of 1 EiB", "101 and then anything"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advisory_limits, "READ_SECONDS", SECONDS)
    monkeypatch.setattr(advisory_limits, "DOWNLOAD_SECONDS", SECONDS)
    monkeypatch.setattr(advisory_limits, "MAX_ARCHIVE_BYTES", 1 << 20)
    monkeypatch.setattr(index_limits, "READ_SECONDS", SECONDS)
    monkeypatch.setattr(index_limits, "LIST_SECONDS", SECONDS)
    monkeypatch.setattr(index_limits, "FILE_SECONDS", SECONDS)
    monkeypatch.setattr(index_limits, "MAX_WHEEL_BYTES", 1 << 20)
    monkeypatch.setattr(provider_module, "SECONDS", SECONDS)
    monkeypatch.setattr(oidc_login, "PROVIDER_SECONDS", SECONDS)
    monkeypatch.setattr(workload_login, "SECONDS", SECONDS)
    monkeypatch.setattr(authority, "_CONNECT_SECONDS", SECONDS)


def from_a_mirror(url: str, folder: Path) -> None:
    fetched, _ = mirror.fetch([f"{url}/all.zip"], {}, folder, plain=False)
    raise Took(fetched)


def from_an_index(url: str, _: Path) -> None:
    with Upstream({}) as upstream:
        raise Took(upstream.document(f"{url}/simple/shop/", accept="text/html", most=1 << 20))


def a_wheel(url: str, folder: Path) -> None:
    with Upstream({}) as upstream:
        raise Took(upstream.save(f"{url}/shop.whl", folder / "shop.whl", sha256="0" * 64))


def an_authority(url: str, _: Path) -> None:
    # As over TLS; the certificate is not what is tried here.
    authority.fingerprint_of(authority._get(url, None))  # type: ignore[arg-type]


def a_token_endpoint(url: str, _: Path) -> None:
    start = ProviderLoginStart(
        issuer=url,
        client_id="casemate",
        authorization_endpoint=f"{url}/auth",
        token_endpoint=f"{url}/token",
        nonce="n",
    )
    oidc_login._exchange(start, "code", "verifier", "http://127.0.0.1/callback")


def a_ci_system(url: str, _: Path) -> None:
    asked = {"ACTIONS_ID_TOKEN_REQUEST_URL": f"{url}/t", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "secret"}
    workload_login.id_token(asked, "node")


def an_issuer(url: str, _: Path) -> None:
    asyncio.run(KeySource(url, Issuer, time.time).discovery())


def alone(work: Any) -> None:
    """As their callers do: a channel bounds the time, `exchange` the rest."""

    async def run() -> None:
        async with asyncio.timeout(3 * SECONDS):
            await work()

    asyncio.run(run())


def a_webhook(url: str, _: Path) -> None:
    from casemate.monitor.messages import Kind, Message

    chosen: Any = msgspec.convert(
        {"kind": "webhook", "url": url, "secret": "ops/key", "accept": ["private", "plaintext"]},
        Channel,  # type: ignore[arg-type]
    )
    message = Message(kind=Kind.FINDING, node="node", at=1.0, found=(found(1),))
    alone(lambda: WebhookChannel(chosen, Reach(not_own), 0, signed).send(message))


def a_collector(url: str, _: Path) -> None:
    chosen: Any = msgspec.convert(
        {"kind": "otlp", "url": url, "accept": ["private", "plaintext"]},
        Export,  # type: ignore[arg-type]
    )

    async def secret(_: str) -> str:
        return "secret"

    alone(lambda: Collector(chosen, Reach(not_own), 0, secret).send("logs", b""))


class Took(Exception):
    """It was taken for an answer: bytes are bytes. What they are is looked at afterwards."""


Asks = Callable[[str, Path], None]
ASKED: list[tuple[Asks, list[str]]] = [
    (from_a_mirror, SLOW + LONG),
    (from_an_index, SLOW + LONG + PACKED),
    (a_wheel, SLOW + LONG + PACKED),
    (an_authority, SLOW + LONG + PACKED + DEEP),
    (a_token_endpoint, SLOW + LONG + PACKED + DEEP),
    (a_ci_system, SLOW + LONG + PACKED + DEEP),
    (an_issuer, SLOW + LONG + PACKED + DEEP),
    (a_webhook, SLOW),
    (a_collector, SLOW),
]
CASES = [
    pytest.param(ask, name, id=f"{ask.__name__}-{name}") for ask, names in ASKED for name in names
]


@pytest.mark.parametrize(("ask", "name"), CASES)
def test_whoever_asks_is_done_in_its_time(ask: Asks, name: str, tmp_path: Path) -> None:
    began, used = time.monotonic(), time.process_time()
    with HostileServer(ANSWERS[name]) as server:
        try:
            ask(server.url, tmp_path)
        except CasemateError as refused:
            assert "secret" not in str(refused)
        except (Took, TimeoutError, OSError, EOFError):
            pass
    assert time.monotonic() - began < 30
    assert time.process_time() - used < 1.5


INSIDE = [
    "http://127.0.0.1:{}/x.zip",
    "http://localhost:{}/x.zip",
    "http://[::ffff:127.0.0.1]:{}/x",
]


@pytest.mark.parametrize("inside", INSIDE)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_mirror_elsewhere_leads_to_nothing_of_this_machine(
    inside: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HostileServer(answered(b"{}")) as here:
        to = inside.format(here.port)

        def elsewhere(request: httpx2.Request) -> httpx2.Response:
            if request.url.host == "mirror.example":
                return httpx2.Response(status, headers={"location": to})
            raise AssertionError(f"{request.url} was asked")

        real = httpx2.Client
        monkeypatch.setattr(
            httpx2,
            "Client",
            lambda **given: real(**given, transport=httpx2.MockTransport(elsewhere)),
        )
        with pytest.raises(CasemateError, match=r"this machine's own|is not an http"):
            mirror.fetch(["https://mirror.example/all.zip"], {}, tmp_path, plain=True)
        assert not here.requests


def test_a_packed_answer_does_not_keep_the_event_loop() -> None:
    """594 bytes of this kind took two seconds in which nobody was served."""
    name = "a gzip of nothing, five times"
    late: list[float] = []

    async def beat() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            late.append(time.monotonic() - before)

    async def ask(url: str) -> None:
        beating = asyncio.create_task(beat())
        with pytest.raises(CasemateError, match="no usable answer") as refused:
            await KeySource(url, Issuer, time.time).discovery()
        assert "packed" in str(refused.value.__cause__)
        beating.cancel()

    with HostileServer(ANSWERS[name]) as server:
        asyncio.run(ask(server.url))
        assert b"accept-encoding: identity" in server.requests[0].lower()
    assert max(late, default=0) < 1


def test_an_answer_in_pieces_of_a_byte_does_not_keep_the_event_loop() -> None:
    """Half a megabyte of them took a second in which hardly anybody was served."""
    issuer = "http://127.0.0.1/x"
    whole = msgspec.json.encode({"issuer": issuer, "jwks_uri": f"{issuer}/keys"}).ljust(200_000)
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in whole) + b"0\r\n\r\n"
    with (
        HostileServer(once(CHUNKED, pieces)) as server,
        pytest.raises(CasemateError, match="no usable answer") as refused,
    ):
        asyncio.run(KeySource(server.url, Issuer, time.time).discovery())
    assert "too many pieces" in str(refused.value.__cause__)


def test_a_token_endpoint_without_end_is_not_read_to_it() -> None:
    sent: list[int] = []

    def endless():  # type: ignore[no-untyped-def]
        yield b"HTTP/1.1 200 OK\r\n\r\n"
        while True:
            sent.append(65536)
            yield b" " * 65536

    with HostileServer(endless) as server, pytest.raises(CasemateError):
        a_token_endpoint(server.url, Path())
    assert sum(sent) < 16 << 20


def test_answers_that_stand_still_do_not_end_those_that_go_on() -> None:
    """A piece now and then is progress, for as long as the whole may take."""
    with HostileServer(
        forever(
            b"1\r\n \r\n", first=b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", pause=0.1
        )
    ) as server:
        from casemate.http_deadline import ProgressDeadline

        progress = ProgressDeadline(SECONDS)
        with (
            httpx2.Client() as client,
            client.stream("GET", server.url, extensions=progress.extensions) as answer,
        ):
            pieces = progress.pieces(answer.iter_raw())
            assert [next(pieces) for _ in range(10)] == [b" "] * 10
        assert not progress.passed
