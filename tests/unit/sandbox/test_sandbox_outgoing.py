"""What waits for an instance: order, bounds, time, and the room that all of it shares."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable

import pytest

from casemate.sandbox import outgoing
from casemate.sandbox.outgoing import Outgoing, ReplyRoom
from casemate.sandbox.waking import Waking
from casemate.turn_end import TurnEnd


class Line:
    """An Outgoing and the other end of its socket."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        ours.setblocking(False)
        self.theirs.setblocking(False)
        self.ours = ours
        self.taken: list[float] = []
        self.stalled = 0
        self.outgoing = Outgoing(
            ours,
            asyncio.get_running_loop(),
            Waking(self._stall),
            on_taken=lambda: self.taken.append(time.monotonic()),
            on_stalled=self._stall,
        )

    def _stall(self) -> None:
        self.stalled += 1

    async def read(self, size: int) -> bytes:
        loop, data = asyncio.get_running_loop(), b""
        while len(data) < size:
            data += await loop.sock_recv(self.theirs, size - len(data))
        return data


def play(scene: Callable[[Line], Awaitable[None]]) -> None:
    async def run() -> None:
        line = Line()
        try:
            await asyncio.wait_for(scene(line), 20)
        finally:
            line.outgoing.close()
            line.ours.close()
            line.theirs.close()

    asyncio.run(run())


def test_what_the_socket_takes_at_once_is_taken_at_once() -> None:
    async def scene(line: Line) -> None:
        line.outgoing.put(b"head", b"body", reply=True)
        assert len(line.taken) == 1
        assert not line.outgoing
        assert await line.read(8) == b"headbody"

    play(scene)


def test_an_event_is_sent_at_the_end_of_the_turn_and_waits_until_then() -> None:
    async def scene(line: Line) -> None:
        line.outgoing.put_later(TurnEnd(), b"head", b"body")
        assert line.outgoing, "who answers before it was sent is not used again"
        with pytest.raises(BlockingIOError):
            line.theirs.recv(1)
        await asyncio.sleep(0)
        assert not line.outgoing
        assert line.theirs.recv(99) == b"headbody"

    play(scene)


def test_nothing_overtakes_an_event_that_waits_for_the_end_of_the_turn() -> None:
    async def scene(line: Line) -> None:
        ends = TurnEnd()
        line.outgoing.put_later(ends, b"event")
        line.outgoing.put(b"1", reply=True)
        assert line.theirs.recv(99) == b"event1"
        line.outgoing.put_later(ends, b"one")
        line.outgoing.put_later(ends, b"two")
        await line.outgoing.sent()
        assert line.theirs.recv(99) == b"onetwo"
        large = bytes(4 << 20)
        line.outgoing.put(large, reply=False)
        line.outgoing.put_later(ends, b"behind")
        assert await line.read(len(large) + 6) == large + b"behind"

    play(scene)


def test_an_event_for_one_that_was_closed_meanwhile_goes_nowhere() -> None:
    async def scene(line: Line) -> None:
        line.outgoing.put_later(TurnEnd(), b"event")
        line.outgoing.close()
        assert not line.outgoing
        await asyncio.sleep(0)
        with pytest.raises(BlockingIOError):
            line.theirs.recv(1)

    play(scene)


def test_frames_keep_their_order_and_a_reply_is_taken_with_its_last_byte() -> None:
    async def scene(line: Line) -> None:
        large = bytes(range(256)) * 8192
        sent = large + b"event" + b"12" * 50 + large
        line.outgoing.put(large, reply=True)
        line.outgoing.put(b"event", reply=False)
        for _ in range(50):
            line.outgoing.put(b"1", b"2", reply=True)
        line.outgoing.put(b"", large, reply=True)
        assert not line.taken
        waiting = asyncio.ensure_future(line.outgoing.sent())
        assert await line.read(len(sent)) == sent
        await waiting
        assert len(line.taken) == 52

    play(scene)


def test_waiting_frames_cost_no_more_than_their_bytes() -> None:
    """Joined to what waits, as they once were, these take half a minute."""

    async def scene(line: Line) -> None:
        started = time.process_time()
        body = b"x" * (4 << 20)
        for _ in range(1000):
            line.outgoing.put(b"head", body, reply=True)
        assert time.process_time() - started < 1.0

    play(scene)


def test_a_reply_that_is_not_read_in_time_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "DELIVERY_SECONDS", 0.05)

    async def scene(line: Line) -> None:
        line.outgoing.put(b"x" * 1_000_000, reply=True)
        # One byte now and then is no reading.
        for _ in range(20):
            await line.read(1)
            await asyncio.sleep(0.01)
        assert line.stalled == 1

    play(scene)


def test_an_event_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "DELIVERY_SECONDS", 0.02)

    async def scene(line: Line) -> None:
        line.outgoing.put(b"x" * 1_000_000, reply=False)
        await asyncio.sleep(0.1)
        assert not line.stalled

    play(scene)


@pytest.mark.parametrize("how", ["closed", "hung-up"])
def test_whoever_waits_for_delivery_is_woken_at_the_end(how: str) -> None:
    async def scene(line: Line) -> None:
        line.outgoing.put(b"x" * 1_000_000, reply=True)
        waiting = asyncio.ensure_future(line.outgoing.sent())
        await asyncio.sleep(0)
        if how == "closed":
            line.outgoing.close()
        else:
            line.theirs.close()
        await asyncio.wait_for(waiting, 5)
        assert not line.taken
        assert not line.outgoing

    play(scene)


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Guests:
    """Tasks that hold room until they are let go."""

    def __init__(self, room: ReplyRoom) -> None:
        self.room = room
        self.inside: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.go: dict[str, asyncio.Event] = {}

    async def enter(self, name: str, function: str, size: int, true: int | None = None) -> None:
        self.go[name] = asyncio.Event()

        async def stay() -> None:
            async with self.room.held(function, size) as resize:
                self.inside.append(name)
                if true is not None:
                    resize(true)
                await self.go[name].wait()
            self.inside.remove(name)

        self.tasks[name] = asyncio.ensure_future(stay())
        await _settle()

    async def leave(self, name: str) -> None:
        self.go[name].set()
        await _settle()

    async def cancel(self, name: str) -> None:
        self.tasks[name].cancel()
        await _settle()


def room_scene(scene: Callable[[Guests], Awaitable[None]], **limits: int) -> None:
    async def run() -> None:
        room = ReplyRoom(**limits)
        guests = Guests(room)
        await scene(guests)
        for name in guests.go:
            guests.go[name].set()
        await asyncio.gather(*guests.tasks.values(), return_exceptions=True)
        assert room.taken == 0
        assert not room._taken
        assert not room._waiting

    asyncio.run(run())


def test_a_function_waits_for_its_own_room_and_keeps_no_other_waiting() -> None:
    async def scene(guests: Guests) -> None:
        await guests.enter("a1", "a", 6)
        await guests.enter("a2", "a", 6)
        await guests.enter("b1", "b", 6)
        assert guests.inside == ["a1", "b1"]
        await guests.leave("a1")
        assert guests.inside == ["b1", "a2"]

    room_scene(scene, node=100, function=10)


def test_the_room_of_the_node_is_given_out_in_turns() -> None:
    async def scene(guests: Guests) -> None:
        await guests.enter("a1", "a", 10)
        for name in ("a2", "a3", "a4"):
            await guests.enter(name, "a", 10)
        await guests.enter("b1", "b", 10)
        await guests.leave("a1")
        await guests.leave("a2")
        assert guests.inside == ["b1"]

    room_scene(scene, node=10, function=10)


def test_what_is_larger_than_the_room_gets_all_of_it() -> None:
    async def scene(guests: Guests) -> None:
        await guests.enter("a1", "a", 1000)
        await guests.enter("b1", "b", 1)
        assert guests.inside == ["a1"]
        await guests.leave("a1")
        assert guests.inside == ["b1"]

    room_scene(scene, node=100, function=10)


def test_room_that_turns_out_not_to_be_needed_is_given_back_and_more_is_taken() -> None:
    async def scene(guests: Guests) -> None:
        await guests.enter("a1", "a", 10, true=2)
        await guests.enter("a2", "a", 8)
        assert guests.inside == ["a1", "a2"]
        await guests.enter("b1", "b", 0, true=50)
        assert guests.room.taken == 60

    room_scene(scene, node=100, function=10)


def test_who_is_cancelled_leaves_no_trace() -> None:
    async def scene(guests: Guests) -> None:
        await guests.enter("a1", "a", 10)
        await guests.enter("a2", "a", 10)
        await guests.cancel("a2")
        await guests.leave("a1")
        await guests.enter("a3", "a", 10)
        assert guests.inside == ["a3"]
        # Let in and cancelled in the same moment.
        await guests.enter("a4", "a", 10)
        guests.go["a3"].set()
        await asyncio.sleep(0)
        await guests.cancel("a4")
        await guests.enter("a5", "a", 10)
        assert guests.inside == ["a5"]

    room_scene(scene, node=10, function=10)


def test_an_event_that_the_socket_takes_in_part_follows_in_its_order() -> None:
    async def scene(line: Line) -> None:
        line.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        parts = (b"h" * 10, bytes(range(256)) * 4000, b"t" * 7)
        line.outgoing.put(*parts, reply=False)
        assert line.outgoing
        line.outgoing.put(b"next", reply=False)
        whole = b"".join(parts) + b"next"
        assert await line.read(len(whole)) == whole
        assert not line.outgoing and line.taken == []

    play(scene)


def test_an_event_for_whoever_is_gone_is_dropped() -> None:
    async def scene(line: Line) -> None:
        line.theirs.close()
        line.outgoing.put(b"event", reply=False)
        assert not line.outgoing

    play(scene)
