"""What an instance says that packages did: bounded, where it is due, and no verdict."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest

from casemate.guard.acts import MAX_MET, MAX_TOLD
from casemate.model.invocation import Outcome
from casemate.runner import wire
from casemate.sandbox.frames import Output, PackagesHead, Reply
from support.core import InstancePeer

ANSWER = wire.pack(wire.ANSWER, b"{}", b'"done"')


def told(body: bytes = b"", **head: Any) -> bytes:
    return wire.pack(wire.PACKAGES, json.dumps(head).encode(), body)


def reply(*sent: bytes, listens: bool = True) -> tuple[Reply, list[Any]]:
    async def run() -> tuple[Reply, list[Any]]:
        peer = InstancePeer(asyncio.get_running_loop())
        heard: list[Any] = []
        await peer.send(wire.pack(wire.READY))
        waiter = peer.instance.invoke(
            b"{}", b"1", Output(1000), on_guard=heard.append if listens else None
        )
        for data in sent:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                await peer.send(data)
        try:
            return await asyncio.wait_for(waiter, 5), heard
        finally:
            peer.close()

    return asyncio.run(run())


DENIED = told(denied=[["requests", "egress", "socket.connect", "app.py:3"]])


def test_it_comes_before_the_answer_and_changes_nothing_of_it() -> None:
    answered, heard = reply(DENIED + told(used=[["requests", "egress", 3]]) + ANSWER)
    assert answered.outcome is Outcome.OK
    assert [type(each) for each in heard] == [PackagesHead, PackagesHead]
    assert heard[0].denied[0].place == "app.py:3" and heard[1].used[0].count == 3


@pytest.mark.parametrize(
    "frames",
    [
        DENIED * (MAX_TOLD + 2),
        told(b"body", used=[]),
        told(used=[["a", "egress", 1]] * (MAX_MET + 1)),
        told(used=[["a" * 201, "egress", 1]]),
        told(used=[["a", "egress", 0]]),
        told(used=[["a", "egress"]]),
        told(used=[["a", "egress", 1, 2]]),
        told(denied=[["a", "egress", "x", "y"]] * 2),
        told(denied=[["a", "egress", "x" * 257, "y"]]),
        told(other=[]),
        told(used=[["a", "egress", 1]], padding="x" * 40_000),
        wire.pack(wire.PACKAGES, b"["),
        wire.pack(wire.PACKAGES, b"\xff"),
    ],
)
def test_what_is_not_due_ends_the_instance(frames: bytes) -> None:
    answered, _ = reply(frames + ANSWER)
    assert answered.outcome is Outcome.PROTOCOL_VIOLATION


def test_it_is_not_due_where_nobody_listens() -> None:
    answered, _ = reply(DENIED + ANSWER, listens=False)
    assert answered.outcome is Outcome.PROTOCOL_VIOLATION
