"""The event loop of the sources process connects to what a trigger names, and to nothing else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator

import pytest

from casemate.egress.access import Access
from casemate.egress.config import EgressLimits
from casemate.egress.connector import Connector
from casemate.egress.resolver import Resolver
from casemate.model.trigger import ValkeyTrigger
from casemate.sources.connections import (
    ConnectionDeniedError,
    RuledLoop,
    connecting_for,
    rules_of,
)
from casemate.sources.errors import SourceError


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def trigger(host: str, port: int, *, private: bool = True) -> ValkeyTrigger:
    return ValkeyTrigger(name="t", host=host, port=port, private=private, stream="s")


def run(work: Callable[[], Awaitable[None]], addresses: dict[str, str] | None = None) -> None:
    def lookup(host: bytes, *_: object, **__: object) -> list[object]:
        address = (addresses or {})[host.decode()]
        return [(0, 0, 0, "", (address, 0))]

    loop = RuledLoop()
    limits = EgressLimits()
    resolver = Resolver(limits, lookup)  # type: ignore[arg-type]
    loop.access = Access(resolver, Connector(), lambda _: False, limits)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(work())  # type: ignore[arg-type]
    resolver.close()


async def connect(allowed: ValkeyTrigger, host: str, port: int) -> None:
    with connecting_for(1, rules_of(allowed)):
        _, writer = await asyncio.open_connection(host, port)
    writer.close()


def test_the_server_of_the_trigger_is_connected_to(port: int) -> None:
    async def work() -> None:
        await connect(trigger("127.0.0.1", port), "127.0.0.1", port)
        await connect(trigger("db.example.org", port), "db.example.org", port)

    run(work, {"db.example.org": "127.0.0.1"})


@pytest.mark.parametrize("host", ["127.0.0.2", "other.example.org", "localhost"])
def test_another_server_is_not_even_if_the_first_one_says_so(port: int, host: str) -> None:
    """As a NATS server tells of others of its cluster."""

    async def work() -> None:
        with pytest.raises(ConnectionDeniedError) as caught:
            await connect(trigger("127.0.0.1", port), host, port)
        assert caught.value.reason == "not granted"
        with pytest.raises(ConnectionDeniedError):
            await connect(trigger("127.0.0.1", port), "127.0.0.1", port + 1)

    run(work)


@pytest.mark.parametrize(
    ("address", "kind"),
    [("127.0.0.1", "loopback"), ("10.0.0.1", "private"), ("169.254.169.254", "metadata")],
)
def test_a_name_that_leads_inside_is_refused(port: int, address: str, kind: str) -> None:
    async def work() -> None:
        with pytest.raises(ConnectionDeniedError) as caught:
            await connect(trigger("db.example.org", port, private=False), "db.example.org", port)
        assert caught.value.reason == f"{kind} address {address}"

    run(work, {"db.example.org": address})


def test_a_name_that_leads_to_metadata_is_refused_with_private_too(port: int) -> None:
    async def work() -> None:
        with pytest.raises(ConnectionDeniedError):
            await connect(trigger("db.example.org", port), "db.example.org", port)

    run(work, {"db.example.org": "169.254.169.254"})


def test_nothing_is_connected_to_without_a_trigger(port: int) -> None:
    async def work() -> None:
        with pytest.raises(PermissionError):
            await asyncio.open_connection("127.0.0.1", port)

    run(work)


def test_other_kinds_of_connections_are_refused(port: int) -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        with connecting_for(1, rules_of(trigger("127.0.0.1", port))):
            with pytest.raises(PermissionError):
                await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
            with pytest.raises(PermissionError):
                await asyncio.open_unix_connection("/run/x")
            with pytest.raises(PermissionError):
                await loop.create_datagram_endpoint(
                    asyncio.DatagramProtocol, remote_addr=("127.0.0.1", port)
                )
            with pytest.raises(PermissionError):
                await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.1", 0))

    run(work)


@pytest.mark.parametrize("host", ["0177.0.0.1", "2130706433", "*.example.org", "a b", ""])
def test_hosts_in_another_form_are_refused(host: str) -> None:
    with pytest.raises(SourceError):
        rules_of(trigger(host, 1)) if host != "*.example.org" else run(
            lambda: connect(trigger(host, 1), "x.example.com", 1)
        )
