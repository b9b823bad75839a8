"""Measurements of a process that was taken over are refused with it, or stay within bounds."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from casemate.model.invocation import Outcome
from casemate.runner import wire
from casemate.sandbox.frames import MAX_MEASURES_BYTES, Output, Reply
from support.core import InstancePeer

READY = wire.pack(wire.READY)
ANSWER = wire.pack(wire.ANSWER, b"{}", b'"done"')
FINE = ["orders", "", 1, 1.0, 1.0, 1.0]


def measures(*own: Any, head: bytes | None = None, body: bytes = b"") -> bytes:
    text = json.dumps({"own": own}).encode() if head is None else head
    return wire.pack(wire.MEASURES, text, body)


def replied(*sent: bytes, sampled: bool = False) -> Reply:
    async def run() -> Reply:
        peer = InstancePeer(asyncio.get_running_loop())
        try:
            await peer.send(READY)
            peer.instance.sampled = sampled
            waiter = peer.instance.invoke(b"{}", b"1", Output(1000))
            for data in sent:
                await peer.send(data)
            return await asyncio.wait_for(waiter, 10)
        finally:
            peer.close()

    return asyncio.run(run())


def test_measurements_come_with_the_answer() -> None:
    reply = replied(measures(FINE, ["kg", "kg", 2, 3.0, 1.0, 2.0]) + ANSWER)
    assert reply.outcome is Outcome.OK
    assert [(one.name, one.unit, one.count, one.sum) for one in reply.own] == [
        ("orders", "", 1, 1.0),
        ("kg", "kg", 2, 3.0),
    ]
    assert replied(ANSWER).own == ()


def test_measurements_come_with_an_error_as_well() -> None:
    failed = {"kind": "handler-error", "type": "T", "message": "m", "trace": ""}
    reply = replied(measures(FINE) + wire.pack(wire.ERROR, json.dumps(failed).encode()))
    assert reply.outcome is Outcome.HANDLER_ERROR
    assert len(reply.own) == 1


@pytest.mark.parametrize(
    "frame",
    [
        measures(),
        measures(head=b""),
        measures(head=b"[]"),
        measures(head=b'{"own":[["orders","",1,1.0,1.0,1.0]],"more":1}'),
        measures(head=b"{" * 4000),
        measures(FINE, body=b"x"),
        measures(*[[f"n{n}", "", 1, 1.0, 1.0, 1.0] for n in range(33)]),
        measures(["Orders", "", 1, 1.0, 1.0, 1.0]),
        measures(['x"} 1\n', "", 1, 1.0, 1.0, 1.0]),
        measures(["orders\n", "", 1, 1.0, 1.0, 1.0]),
        measures(["orders", 'k"g', 1, 1.0, 1.0, 1.0]),
        measures(["a" * 64, "", 1, 1.0, 1.0, 1.0]),
        measures(["orders", "", 0, 1.0, 1.0, 1.0]),
        measures(["orders", "", -1, 1.0, 1.0, 1.0]),
        measures(["orders", "", 1.5, 1.0, 1.0, 1.0]),
        measures(["orders", "", 10**30, 1.0, 1.0, 1.0]),
        measures(["orders", "", 1, "1", 1.0, 1.0]),
        measures(["orders", "", 1, None, 1.0, 1.0]),
        measures(head=b'{"own":[["orders","",1,NaN,1.0,1.0]]}'),
        measures(head=b'{"own":[["orders","",1,Infinity,1.0,1.0]]}'),
        measures(head=b'{"own":[["orders","",1,1e999,1.0,1.0]]}'),
        measures(["orders", "", 1, 1.0, 1.0]),
        measures([*FINE, 1]),
        measures(FINE) + measures(FINE),
        measures(head=b" " * MAX_MEASURES_BYTES + b'{"own":[["orders","",1,1.0,1.0,1.0]]}'),
    ],
)
def test_rubbish_ends_the_instance(frame: bytes) -> None:
    reply = replied(frame + ANSWER)
    assert reply.outcome is Outcome.PROTOCOL_VIOLATION
    assert not reply.reusable


def guard(us: object) -> bytes:
    return measures(head=json.dumps({"own": [], "guard_us": us}).encode())


def test_what_the_guard_took_comes_where_it_was_asked_for() -> None:
    assert replied(guard(41) + ANSWER, sampled=True).guard_us == 41
    assert replied(ANSWER, sampled=True).guard_us is None
    both = json.dumps({"own": [FINE], "guard_us": 7}).encode()
    reply = replied(measures(head=both) + ANSWER, sampled=True)
    assert (reply.guard_us, len(reply.own)) == (7, 1)
    refused = replied(guard(41) + ANSWER)
    assert (refused.outcome, refused.guard_us) == (Outcome.PROTOCOL_VIOLATION, None)


@pytest.mark.parametrize("us", [-1, 0.5, "1", True, (1 << 53) + 1, 10**30])
def test_no_other_number_is_taken(us: object) -> None:
    assert replied(guard(us) + ANSWER, sampled=True).outcome is Outcome.PROTOCOL_VIOLATION


def test_it_is_told_once() -> None:
    twice = replied(guard(1) + guard(1) + ANSWER, sampled=True)
    assert twice.outcome is Outcome.PROTOCOL_VIOLATION


def test_measurements_that_nobody_asked_for_end_it() -> None:
    async def run() -> None:
        peer = InstancePeer(asyncio.get_running_loop())
        try:
            await peer.send(READY)
            await peer.send(measures(FINE))
            assert not peer.instance.alive
        finally:
            peer.close()

    asyncio.run(run())
