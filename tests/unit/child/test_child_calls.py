"""Calls by number: bounds, time-outs, and errors that arrive as what they were."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
import pytest

from casemate.child.calls import Callee, Calls, Errors, Reply, decode_reply, refusal, reply
from casemate.child.channel import Bounds
from casemate.child.failure import Failure
from casemate.child.frames import FrameBuffer, frame
from casemate.model.errors import (
    CasemateError,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
)


class RecorderError(CasemateError):
    """The recorder cannot do this."""


class Ask(msgspec.Struct, frozen=True, array_like=True):
    n: int
    what: Annotated[bytes, msgspec.Meta(max_length=900)]


CALLEE = Callee(
    name="recorder",
    bounds=Bounds(frame=1000, unsent=3000),
    pending=3,
    seconds=0.2,
    errors=Errors(RecorderError, NotFoundError),
    unavailable=UnavailableError,
    invalid=InvalidInputError,
    takes=msgspec.msgpack.Decoder(Ask).decode,
)


class Peer:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.setblocking(False)
        self.frames = FrameBuffer(1000)
        self.waiting: list[Ask] = []

    async def request(self) -> Ask:
        while not self.waiting:
            data = await asyncio.get_running_loop().sock_recv(self.sock, 65536)
            self.waiting += [msgspec.msgpack.decode(b, type=Ask) for b in self.frames.feed(data)]
        return self.waiting.pop(0)


def using(body: Callable[[Calls, Peer], Awaitable[None]]) -> None:
    async def run() -> None:
        ours, theirs = socket.socketpair()
        calls = Calls(CALLEE, ours, asyncio.get_running_loop())
        try:
            await asyncio.wait_for(body(calls, Peer(theirs)), 10)
        finally:
            calls.close()
            calls.close()
            theirs.close()

    asyncio.run(run())


def ask(calls: Calls, what: bytes = b"x") -> asyncio.Task[msgspec.Raw]:
    return asyncio.ensure_future(calls.ask(lambda number: Ask(number, what)))


def test_each_answer_finds_its_call_and_each_error_its_kind() -> None:
    async def body(calls: Calls, peer: Peer) -> None:
        tasks = [ask(calls, b"%d" % number) for number in range(3)]
        requests = [await peer.request() for _ in tasks]
        errors = CALLEE.errors
        gone = errors.failure(NotFoundError("none", next_step="set it"))
        fault = errors.failure(UnavailableError("a kind that the other end does not know"))
        assert fault.kind == "RecorderError"
        peer.sock.sendall(
            frame(refusal(requests[2].n, fault))
            + frame(refusal(requests[1].n, gone))
            + frame(reply(requests[0].n, b"yes"))
        )
        assert msgspec.msgpack.decode(await tasks[0]) == b"yes"
        with pytest.raises(NotFoundError, match="none") as caught:
            await tasks[1]
        assert caught.value.next_step == "set it"
        with pytest.raises(RecorderError, match="does not know"):
            await tasks[2]
        assert calls.pending == 0

    using(body)


def test_what_the_process_would_end_for_is_not_sent() -> None:
    async def body(calls: Calls, peer: Peer) -> None:
        with pytest.raises(InvalidInputError, match="The recorder takes no such request"):
            await ask(calls, b"x" * 901)
        assert calls.pending == 0 and not calls.lost.done()
        task = ask(calls, b"x" * 900)
        peer.sock.sendall(frame(reply((await peer.request()).n, None)))
        await task

    using(body)


def test_no_more_calls_than_may_wait() -> None:
    async def body(calls: Calls, peer: Peer) -> None:
        tasks = [ask(calls) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError, match="The recorder has 3 requests to answer first"):
            await ask(calls)
        for task in tasks:
            peer.sock.sendall(frame(reply((await peer.request()).n, None)))
            await task

    using(body)


def test_no_request_larger_than_a_frame() -> None:
    async def body(calls: Calls, peer: Peer) -> None:
        with pytest.raises(InvalidInputError, match="expected at most 1000"):
            await ask(calls, bytes(1000))
        assert calls.pending == 0

    using(body)


def test_one_that_does_not_answer_is_given_up_with_all_that_waits() -> None:
    async def body(calls: Calls, peer: Peer) -> None:
        tasks = [ask(calls), ask(calls)]
        for task in tasks:
            with pytest.raises(UnavailableError, match="The recorder is gone") as caught:
                await task
        assert caught.value.next_step is not None and "recorder ended" in caught.value.next_step
        assert calls.lost.done()
        with pytest.raises(UnavailableError):
            await ask(calls)

    using(body)


@pytest.mark.parametrize(
    "data", [bytes(4), frame(b"\xc1"), frame(b"\x90"), frame(reply(1, 1)[:-1]), frame(b"\x93\xff")]
)
def test_what_is_no_reply_ends_it(data: bytes) -> None:
    async def body(calls: Calls, peer: Peer) -> None:
        task = ask(calls)
        await peer.request()
        peer.sock.sendall(data)
        with pytest.raises(UnavailableError):
            await task
        await calls.lost

    using(body)


def test_an_answer_that_nobody_waits_for_is_dropped() -> None:
    async def body(calls: Calls, peer: Peer) -> None:
        peer.sock.sendall(frame(reply(77, b"unasked")))
        task = ask(calls)
        number = (await peer.request()).n
        peer.sock.sendall(frame(reply(number, b"first")) + frame(reply(number, b"again")))
        assert msgspec.msgpack.decode(await task) == b"first"
        assert not calls.lost.done()

    using(body)


def test_an_error_of_an_unknown_kind_is_still_one_of_ours() -> None:
    for kind in ("ValueError", "CasemateError", ""):
        assert type(CALLEE.errors.error(Failure(kind, "m", None))) is RecorderError
    answer = decode_reply(refusal(5, CALLEE.errors.failure(NotFoundError("m"))))
    assert answer.failure == Failure("NotFoundError", "m", None)


@pytest.mark.parametrize("answer", [b"\x01", b"\x93\x01\x02\x03", b"\x91" * 400 + b"\xc0"])
def test_an_answer_that_is_none_is_told_as_if_nobody_was_there(
    answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(calls: Calls, peer: Peer) -> None:
        asked = asyncio.ensure_future(calls.ask_for(Ask, lambda number: Ask(number, b"x")))
        number = (await peer.request()).n
        peer.sock.sendall(frame(msgspec.msgpack.encode(Reply(number, None, msgspec.Raw(answer)))))
        with pytest.raises(UnavailableError, match="The recorder has sent something that is not"):
            await asked
        assert "the recorder has answered with what is none" in caplog.text
        asked = asyncio.ensure_future(calls.ask_for(Ask, lambda number: Ask(number, b"x")))
        peer.sock.sendall(frame(reply((await peer.request()).n, Ask(7, b"yes"))))
        assert await asked == Ask(7, b"yes")

    using(body)


def test_a_call_whose_descriptor_cannot_be_passed_fails_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was waited for, and with it went the connection that all others use."""

    async def body(calls: Calls, peer: Peer) -> None:
        def dup(_descriptor: int) -> int:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        monkeypatch.setattr(os, "dup", dup)
        with pytest.raises(UnavailableError, match="cannot be passed a descriptor: Too many open"):
            await calls.ask(lambda number: Ask(number, b"x"), [0])
        assert calls.pending == 0
        monkeypatch.undo()
        await asyncio.sleep(1.5 * CALLEE.seconds)
        assert not calls.lost.done()

    using(body)
