"""The demo of a cluster: its balancer passes over the dead, its options are the command's."""

from __future__ import annotations

import asyncio
import contextlib
import os

import pytest
from scripts.demo_cluster import network, nodes, places
from scripts.demo_cluster.balancer import Backend, Balancer
from scripts.demo_cluster.errors import DemoError
from scripts.demo_cluster.network import Place

from casemate.supervisor.options import RISKS

READY, NOT_READY = b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 503 Service Unavailable\r\n\r\n"


async def backend(name: bytes, answer: bytes) -> tuple[Backend, asyncio.Server]:
    """Serve as a node would: whether it is ready, and its name to everybody else."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readline()
        writer.write(answer if b"/api/v1/ready" in first else name)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return Backend("127.0.0.1", server.sockets[0].getsockname()[1]), server


async def asked(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer


def test_connections_go_in_turn_to_who_is_ready_and_lives() -> None:
    async def run() -> None:
        (one, _), (two, dying), (three, _) = (
            await backend(b"one", READY),
            await backend(b"two", READY),
            await backend(b"three", NOT_READY),
        )
        async with Balancer([one, two, three]).running() as balancer:
            assert {await asked(balancer.port) for _ in range(4)} == {b"one", b"two"}
            dying.close()
            await dying.wait_closed()
            assert [await asked(balancer.port) for _ in range(4)] == [b"one"] * 4
            assert not two.ready and not three.ready

    asyncio.run(run())


def test_with_nobody_ready_a_connection_is_closed() -> None:
    async def run() -> None:
        one, _ = await backend(b"one", NOT_READY)
        async with Balancer([one]).running() as balancer:
            # What was sent may not have been read by then.
            with contextlib.suppress(ConnectionResetError):
                assert await asked(balancer.port) == b""
            assert one.served == 0

    asyncio.run(run())


@pytest.mark.parametrize("place", [Place("127.0.0.1", 1), Place("198.51.100.2", 1, ("nsenter",))])
def test_what_the_demo_accepts_has_a_name(place: Place) -> None:
    accepted = [word for word in nodes.risks(place) if word != "--accept-risk"]
    assert set(accepted) <= RISKS.keys() and "cgroups" not in accepted
    assert ("plaintext" in accepted) is not place.is_loopback


def test_without_a_database_it_is_said_how_to_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathlib.Path.glob", lambda *_: iter(()))
    with pytest.raises(DemoError, match="apt-get install postgresql"):
        places.postgresql_programs()


def test_an_ordinary_user_gets_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with network.network(3) as net:
        assert net.shared == "127.0.0.1"
        assert len({place.port for place in net.places}) == 3
        assert all(place.is_loopback for place in net.places)
