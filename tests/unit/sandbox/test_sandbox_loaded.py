"""What an instance says that a call has loaded: once, where it is due, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from casemate.model.invocation import Outcome
from casemate.runner import wire
from casemate.sandbox.frames import Output, Reply
from support.core import InstancePeer

ANSWER = wire.pack(wire.ANSWER, b"{}", b'"done"')
SAMPLED, OTHER = "inv_a0", "inv_a1"


def loaded(head: bytes, body: bytes = b"") -> bytes:
    return wire.pack(wire.LOADED, head, body)


def reply(*sent: bytes, serving: str = SAMPLED) -> tuple[Reply, list[Any]]:
    async def run() -> tuple[Reply, list[Any]]:
        peer = InstancePeer(asyncio.get_running_loop())
        told: list[Any] = []
        peer.instance.on_loaded = told.append
        await peer.send(wire.pack(wire.READY))
        peer.instance.serving = serving
        waiter = peer.instance.invoke(b"{}", b"1", Output(1000))
        for data in sent:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                await peer.send(data)
        try:
            return await asyncio.wait_for(waiter, 5), told
        finally:
            peer.close()

    return asyncio.run(run())


def test_it_comes_before_the_answer() -> None:
    answered, told = reply(loaded(b'{"files":["a/b.py"]}') + ANSWER)
    assert answered.outcome is Outcome.OK and told == [["a/b.py"]]


@pytest.mark.parametrize(
    "frames",
    [
        loaded(b'{"files":["a"]}') * 2,
        loaded(b'{"files":["a"]}', b"body"),
        loaded(b'{"files":[1]}'),
        loaded(b'{"files":"a"}'),
        loaded(b"{}"),
        loaded(b"["),
        loaded(b'{"files":[' + b"[" * 50_000),
        loaded(b"\xff"),
    ],
)
def test_what_is_wrong_ends_the_instance(frames: bytes) -> None:
    assert reply(frames + ANSWER)[0].outcome is Outcome.PROTOCOL_VIOLATION


def test_a_call_that_is_not_looked_at_tells_nothing() -> None:
    answered, told = reply(loaded(b'{"files":["a"]}') + ANSWER, serving=OTHER)
    assert answered.outcome is Outcome.PROTOCOL_VIOLATION and told == []


def test_a_frame_that_is_too_large_is_refused() -> None:
    head = b'{"files":["' + b"a" * wire.MAX_HEAD_BYTES + b'"]}'
    assert reply(loaded(head))[0].outcome is Outcome.PROTOCOL_VIOLATION
