"""The gateway's way to a restorer: who ends a call in one turn is asked for in one message."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine

from casemate.restorer.protocol import ASKED, TOLD, UNKNOWN_CPU
from casemate.sandbox.restorer import RestorerLink

Told = list[tuple[int, int, bool, int | None]]
Run = Callable[[RestorerLink, socket.socket, Told], Coroutine[None, None, None]]


def scenario(run: Run) -> None:
    async def inner() -> None:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        told: Told = []
        link = RestorerLink(
            ours.detach(), asyncio.get_running_loop(), lambda *one: told.append(one)
        )
        with theirs:
            await run(link, theirs, told)
            link.close()

    asyncio.run(inner())


def test_all_that_are_asked_for_in_one_turn_go_in_one_message() -> None:
    async def run(link: RestorerLink, other: socket.socket, _told: Told) -> None:
        loop = asyncio.get_running_loop()
        sends = 0
        send = link._send

        def counted() -> None:
            nonlocal sends
            sends += 1
            send()

        link._send = counted  # type: ignore[method-assign]
        assert link.ask(1, 2) and link.ask(1, 3) and link.ask(4, 5)
        asked = await loop.sock_recv(other, 1000)
        assert list(ASKED.iter_unpack(asked)) == [(1, 2), (1, 3), (4, 5)]
        assert link.ask(1, 6)
        assert await loop.sock_recv(other, 1000) == ASKED.pack(1, 6)
        assert sends == 2

    scenario(run)


def test_several_are_told_of_in_one_message() -> None:
    async def run(_link: RestorerLink, other: socket.socket, told: Told) -> None:
        message = TOLD.pack(1, 2, 1, 9, 77) + TOLD.pack(1, 3, 0, 0, UNKNOWN_CPU)
        other.send(message[:10])
        await asyncio.sleep(0.01)
        assert told == []
        other.send(message[10:])
        await asyncio.sleep(0.01)
        assert told == [(1, 2, True, 9, 77), (1, 3, False, 0, None)]

    scenario(run)


def test_a_restorer_that_has_ended_is_asked_for_nothing_more() -> None:
    async def run(link: RestorerLink, other: socket.socket, _told: Told) -> None:
        other.close()
        link.ask(1, 2)
        await asyncio.sleep(0.01)
        assert not link.is_open and not link.ask(1, 2)

    scenario(run)


def test_what_is_asked_as_the_way_is_closed_goes_nowhere() -> None:
    async def run(link: RestorerLink, other: socket.socket, _told: Told) -> None:
        assert link.ask(1, 2)
        link.close()
        await asyncio.sleep(0.01)
        assert other.recv(10) == b""

    scenario(run)
