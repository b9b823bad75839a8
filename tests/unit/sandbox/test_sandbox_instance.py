"""The gateway's end of an instance, against a process that does its worst."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.model.errors import UnavailableError
from casemate.model.invocation import Outcome
from casemate.runner import wire
from casemate.sandbox import guard_watch, outgoing
from casemate.sandbox import instance as instance_module
from casemate.sandbox.frames import MAX_LINES, Output, Reply, describe_status
from casemate.sandbox.instance import MAX_REQUEST_BYTES
from casemate.turn_end import TurnEnd
from support.core import InstancePeer
from support.descriptors import descriptors_held, require_none_left

READY = wire.pack(wire.READY)
ANSWER = wire.pack(wire.ANSWER, b"{}", b'"done"')


def log(level: str = "info", text: bytes = b"line", at: float = 1.5) -> bytes:
    return wire.pack(wire.LOG, json.dumps({"level": level, "at": at}).encode(), text)


def error(kind: str, **fields: Any) -> bytes:
    detail = {"kind": kind, "type": "T", "message": "m", "trace": "t", **fields}
    return wire.pack(wire.ERROR, json.dumps(detail).encode())


class Scene:
    """An instance that is ready and, unless told otherwise, serves an invocation."""

    def __init__(self, **options: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.peer = InstancePeer(self.loop, **options)
        self.instance = self.peer.instance
        self.output = Output(1000)

    async def ready(self) -> Scene:
        await self.peer.send(READY)
        assert self.peer.ready == [self.instance]
        return self

    async def invoked(self, event: bytes = b"1") -> asyncio.Future[Reply]:
        if not self.peer.ready:
            await self.ready()
        return self.instance.invoke(b"{}", event, self.output)

    async def reply(self, *sent: bytes) -> Reply:
        waiter = await self.invoked()
        for data in sent:
            await self.peer.send(data)
        return await waiter

    def hang_up(self) -> None:
        self.peer.sock.close()


def play(scene: Callable[..., Awaitable[None]], **options: Any) -> None:
    """Play a scene; afterwards no descriptor is left and no callback has failed."""
    faults: list[dict[str, Any]] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, c: faults.append(c))
        stage = Scene(**options)
        try:
            await asyncio.wait_for(scene(stage), 10)
        finally:
            stage.peer.close()

    before = descriptors_held()
    asyncio.run(run())
    require_none_left(before)
    assert not faults, faults


# -- the honest case -----------------------------------------------------------------------------


def test_an_answer_ends_a_fresh_instance_which_is_killed_if_it_does_not_go() -> None:
    async def scene(stage: Scene) -> None:
        reply = await stage.reply(ANSWER)
        assert reply == Reply(Outcome.OK, b"{}", b'"done"')
        assert not stage.instance.alive
        assert stage.peer.ended == []
        await asyncio.sleep(instance_module.EXIT_SECONDS + 0.01)
        assert stage.peer.killed == [7]

    play(scene)


def test_one_that_answers_before_its_event_was_sent_serves_nobody_else() -> None:
    """What it has not read would be taken for its next event."""

    async def scene(stage: Scene) -> None:
        await stage.ready()
        waiter = stage.instance.invoke(b"{}", b"1", stage.output, turn_end=TurnEnd())
        await stage.peer.event()
        await stage.peer.send(wire.pack(wire.ANSWER, b"{}", b"1"))
        assert (await waiter).reusable
        endless = TurnEnd()
        endless._is_due = True  # as a turn that has not ended when the answer is read
        waiter = stage.instance.invoke(b"{}", b"2", stage.output, turn_end=endless)
        await stage.peer.send(wire.pack(wire.ANSWER, b"{}", b"2"))
        assert not (await waiter).reusable
        assert not stage.instance.alive

    play(scene, reuse=True)


def test_a_reused_instance_serves_on() -> None:
    async def scene(stage: Scene) -> None:
        for number in range(3):
            reply = await stage.reply(wire.pack(wire.ANSWER, b"{}", b"%d" % number))
            assert (reply.body, reply.reusable) == (b"%d" % number, True)
            await stage.peer.event()
        assert stage.instance.alive and stage.instance.served == 3
        assert stage.peer.killed == []

    play(scene, reuse=True)


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("handler-error", Outcome.HANDLER_ERROR),
        ("bad-result", Outcome.BAD_RESULT),
        ("response-too-large", Outcome.RESPONSE_TOO_LARGE),
    ],
)
def test_an_error_is_reported_with_its_text(kind: str, outcome: Outcome) -> None:
    async def scene(stage: Scene) -> None:
        reply = await stage.reply(error(kind, message="why", trace="where"))
        assert (reply.outcome, reply.message, reply.trace) == (outcome, "why", "where")
        assert reply.reusable and stage.instance.alive
        assert (await stage.reply(ANSWER)).outcome is Outcome.OK

    play(scene, reuse=True)


def test_an_import_that_fails_in_the_instance_ends_it() -> None:
    async def scene(stage: Scene) -> None:
        await stage.peer.send(error("init-error", message="no module"))
        assert stage.peer.ended == [stage.instance] and stage.peer.ready == []
        assert stage.instance.last is not None
        assert stage.instance.last.outcome is Outcome.INIT_ERROR
        assert stage.instance.last.message == "no module"
        assert not stage.instance.alive

    play(scene)


@pytest.mark.parametrize("size", [1, 100_000, 4_000_000])
def test_an_event_of_any_size_is_sent(size: int) -> None:
    async def scene(stage: Scene) -> None:
        waiter = await stage.invoked(event=b"x" * size)
        assert await stage.peer.event() == (b"{}", b"x" * size)
        await stage.peer.send(ANSWER)
        assert (await waiter).outcome is Outcome.OK

    play(scene)


def test_an_answer_before_the_event_is_read_is_taken() -> None:
    async def scene(stage: Scene) -> None:
        waiter = await stage.invoked(event=b"x" * 4_000_000)
        await stage.peer.send(ANSWER)
        assert (await waiter).outcome is Outcome.OK
        assert not stage.instance.alive

    play(scene)


# -- frames --------------------------------------------------------------------------------------

STREAM = log("info", b"one") + log("error", b"two") + ANSWER


@settings(max_examples=50)
@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_frames_may_be_split_anywhere(cuts: list[int]) -> None:
    edges = sorted({0, len(STREAM), *cuts})

    async def scene(stage: Scene) -> None:
        reply = await stage.reply(*(STREAM[a:b] for a, b in pairwise(edges)))
        assert reply.body == b'"done"'
        assert stage.output.entries == [(1.5, "info", b"one\n"), (1.5, "error", b"two\n")]

    play(scene)


def test_frames_one_byte_at_a_time() -> None:
    async def scene(stage: Scene) -> None:
        reply = await stage.reply(*(bytes([byte]) for byte in STREAM))
        assert reply.body == b'"done"'

    play(scene)


GARBAGE = {
    "HTTP": b"HTTP/1.1 200 OK\r\n\r\n",
    "zeros": bytes(4096),
    "ones": b"\xff" * 4096,
    "JSON": b'{"status":200}',
    "unknown kind": wire.pack(b"Z", b"{}", b""),
    "an invocation": wire.pack(wire.INVOKE, b"{}", b"1"),
    "ready again": READY,
    "huge head": wire.HEADER.pack(wire.ANSWER, wire.MAX_HEAD_BYTES + 1, 0),
    "huge body": wire.HEADER.pack(wire.ANSWER, 2, MAX_REQUEST_BYTES + 1),
    "answer over its limit": wire.pack(wire.ANSWER, b"{}", b"x" * 1001),
    "endless body": wire.HEADER.pack(wire.ANSWER, 2, 0xFFFFFFFF),
    "endless head": wire.HEADER.pack(wire.LOG, 0xFFFFFFFF, 0),
    "log without a head": wire.pack(wire.LOG, b"", b"x"),
    "log head no JSON": wire.pack(wire.LOG, b"{", b"x"),
    "log head of other types": wire.pack(wire.LOG, b'{"level":1,"at":"x"}', b"x"),
    "log head not UTF-8": wire.pack(wire.LOG, b'{"level":"\xff","at":1}', b"x"),
    "error without a head": wire.pack(wire.ERROR),
    "error head no JSON": wire.pack(wire.ERROR, b"[[["),
    "error head deep": wire.pack(wire.ERROR, b'{"kind":' + b"[" * 100_000),
    "error of another kind": error("timeout"),
    "error that claims to be ok": error("ok"),
    "error of the import": error("init-error"),
    "error fields missing": wire.pack(wire.ERROR, b'{"kind":"handler-error"}'),
    "error with a number": error("handler-error", message=1),
}


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_ends_the_instance(garbage: bytes, reuse: bool) -> None:
    async def scene(stage: Scene) -> None:
        reply = await stage.reply(garbage)
        assert reply.outcome is Outcome.PROTOCOL_VIOLATION
        assert reply.message and not reply.reusable
        assert (reply.head, reply.body) == (b"", b"")
        assert not stage.instance.alive and stage.peer.killed == [7]

    play(scene, reuse=reuse, max_response=1000)


@pytest.mark.parametrize("before", [b"", READY], ids=["before ready", "as a spare"])
@pytest.mark.parametrize(
    "sent",
    [ANSWER, log(), error("handler-error"), error("x"), b"garbage!!", wire.pack(b"Z")],
    ids=["answer", "log", "error", "unknown error", "garbage", "unknown kind"],
)
def test_a_frame_that_is_not_due_ends_it(before: bytes, sent: bytes) -> None:
    async def scene(stage: Scene) -> None:
        await stage.peer.send(before + sent)
        assert not stage.instance.alive
        assert stage.peer.ended == [stage.instance]
        assert stage.instance.last is not None
        assert stage.instance.last.outcome is Outcome.PROTOCOL_VIOLATION

    play(scene)


def test_an_answer_for_the_next_caller_cannot_be_left_behind() -> None:
    async def scene(stage: Scene) -> None:
        reply = await stage.reply(ANSWER + wire.pack(wire.ANSWER, b"{}", b"for the next"))
        assert reply.body == b'"done"'
        await stage.peer.settle()
        assert not stage.instance.alive
        waiter = stage.instance.invoke(b"{}", b"2", Output(10))
        assert (await waiter).outcome is Outcome.CRASHED

    play(scene, reuse=True)


def test_the_start_of_an_answer_for_the_next_caller_makes_it_unusable() -> None:
    async def scene(stage: Scene) -> None:
        reply = await stage.reply(ANSWER + ANSWER[:-3])
        assert (reply.outcome, reply.reusable) == (Outcome.OK, False)
        assert not stage.instance.alive

    play(scene, reuse=True)


def test_an_answer_and_garbage_at_once_is_a_violation() -> None:
    async def scene(stage: Scene) -> None:
        reply = await stage.reply(ANSWER + b"\x00garbage\x00")
        assert reply.outcome is Outcome.PROTOCOL_VIOLATION
        assert not stage.instance.alive

    play(scene, reuse=True)


def test_an_answer_then_garbage_is_the_answer_and_the_end() -> None:
    async def scene(stage: Scene) -> None:
        assert (await stage.reply(ANSWER)).outcome is Outcome.OK
        await stage.peer.send(b"\x00garbage\x00")
        assert not stage.instance.alive
        assert stage.peer.ended == [stage.instance]

    play(scene, reuse=True)


@settings(max_examples=50)
@given(st.binary(min_size=9, max_size=80).filter(lambda data: data[:1] not in b"RAELI"))
def test_arbitrary_bytes_are_a_violation(data: bytes) -> None:
    async def scene(stage: Scene) -> None:
        assert (await stage.reply(data)).outcome is Outcome.PROTOCOL_VIOLATION

    play(scene)


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_then_the_end_are_never_waited_for(data: bytes) -> None:
    async def scene(stage: Scene) -> None:
        waiter = await stage.invoked()
        await stage.peer.send(data)
        stage.instance.exited(0, out_of_memory=False)
        assert waiter.done()
        assert not stage.instance.alive

    play(scene)


# -- output --------------------------------------------------------------------------------------


def test_what_was_printed_before_the_answer_belongs_to_it() -> None:
    async def scene(stage: Scene) -> None:
        waiter = await stage.invoked()
        os.write(stage.peer.output, b"hello\n")
        await stage.peer.send(ANSWER)
        await waiter
        assert [entry[1:] for entry in stage.output.entries] == [("stdout", b"hello\n")]

    play(scene)


def test_output_goes_to_the_invocation_that_it_was_written_in() -> None:
    async def scene(stage: Scene) -> None:
        for text in (b"first", b"second"):
            stage.output = Output(100)
            waiter = await stage.invoked()
            os.write(stage.peer.output, text)
            await stage.peer.send(ANSWER)
            await waiter
            assert [data for _, _, data in stage.output.entries] == [text]

    play(scene, reuse=True)


def test_a_flood_of_logs_is_cut_and_counted() -> None:
    async def scene(stage: Scene) -> None:
        waiter = await stage.invoked()
        for _ in range(200):
            await stage.peer.send(log(text=b"x" * 99))
        await stage.peer.send(ANSWER)
        assert (await waiter).outcome is Outcome.OK
        assert sum(len(data) for _, _, data in stage.output.entries) == 1000
        assert stage.output.dropped == 200 * 100 - 1000

    play(scene)


def test_a_flood_of_output_is_read_slowly_and_never_kept() -> None:
    async def scene(stage: Scene) -> None:
        waiter = await stage.invoked()
        os.set_blocking(stage.peer.output, False)
        written = 0
        end = stage.loop.time() + 0.3
        while stage.loop.time() < end:
            try:
                written += os.write(stage.peer.output, b"x" * 65536)
            except BlockingIOError:
                await asyncio.sleep(0)
        await stage.peer.send(ANSWER)
        assert (await waiter).outcome is Outcome.OK
        assert sum(len(data) for _, _, data in stage.output.entries) == 1000
        # Past the first MiB at most one pipe of 64 KiB every 10 ms.
        assert written < (1 << 20) + 40 * 65536 * 2

    play(scene)


def test_the_level_of_a_line_is_cut() -> None:
    async def scene(stage: Scene) -> None:
        await stage.reply(log(level="x" * 10_000), ANSWER)
        assert stage.output.entries == [(1.5, "x" * 16, b"line\n")]

    play(scene)


def test_closed_output_is_no_end() -> None:
    async def scene(stage: Scene) -> None:
        waiter = await stage.invoked()
        os.close(stage.peer.output)
        stage.peer.output = -1
        await stage.peer.settle()
        await stage.peer.send(ANSWER)
        assert (await waiter).outcome is Outcome.OK

    play(scene)


def test_output_keeps_exactly_its_limit() -> None:
    output = Output(5)
    for data in (b"abc", b"def", b"g"):
        output.add(0.0, "stdout", data)
    assert [data for _, _, data in output.entries] == [b"abc", b"de"]
    assert output.dropped == 2


# -- ends ----------------------------------------------------------------------------------------


def test_the_end_of_the_socket_waits_for_the_word_of_how_it_died() -> None:
    async def scene(stage: Scene) -> None:
        waiter = await stage.invoked()
        stage.hang_up()
        await stage.peer.settle()
        assert not waiter.done()
        stage.instance.exited(11, out_of_memory=False)
        reply = await waiter
        assert (reply.outcome, reply.message) == (
            Outcome.CRASHED,
            "the process was killed by signal 11",
        )

    play(scene)


def test_a_closed_socket_without_a_death_ends_it_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(instance_module, "_EXIT_NOTICE_SECONDS", 0.02)

    async def scene(stage: Scene) -> None:
        waiter = await stage.invoked()
        stage.hang_up()
        reply = await waiter
        assert (reply.outcome, reply.type) == (Outcome.CRASHED, "SocketClosed")
        assert stage.peer.killed == [7]

    play(scene)


def test_an_end_after_the_answer_changes_nothing() -> None:
    async def scene(stage: Scene) -> None:
        waiter = await stage.invoked()
        stage.peer.sock.send(ANSWER)
        stage.hang_up()
        assert (await waiter).outcome is Outcome.OK
        stage.instance.exited(0, out_of_memory=False)
        assert stage.peer.ended == []

    play(scene)


@pytest.mark.parametrize("reuse", [False, True])
def test_word_of_the_death_before_the_answer_is_read(reuse: bool) -> None:
    async def scene(stage: Scene) -> None:
        waiter = await stage.invoked()
        stage.peer.sock.send(ANSWER)
        stage.instance.exited(9, out_of_memory=True)
        assert (await waiter).body == b'"done"'
        assert not stage.instance.alive

    play(scene, reuse=reuse)


def test_half_an_answer_then_death_is_a_crash() -> None:
    async def scene(stage: Scene) -> None:
        waiter = await stage.invoked()
        stage.peer.sock.send(ANSWER[:-1])
        stage.instance.exited(0, out_of_memory=False)
        reply = await waiter
        assert (reply.outcome, reply.message) == (
            Outcome.CRASHED,
            "the process exited with code 0",
        )
        assert reply.body == b""

    play(scene)


def test_garbage_then_death_is_a_violation() -> None:
    async def scene(stage: Scene) -> None:
        waiter = await stage.invoked()
        stage.peer.sock.send(b"\x00" * 100)
        stage.instance.exited(0, out_of_memory=False)
        assert (await waiter).outcome is Outcome.PROTOCOL_VIOLATION

    play(scene)


def test_out_of_memory_is_told_apart() -> None:
    async def scene(stage: Scene) -> None:
        waiter = await stage.invoked()
        stage.instance.exited(9, out_of_memory=True)
        assert (await waiter).outcome is Outcome.OUT_OF_MEMORY

    play(scene)


def test_a_spare_that_dies_is_told_of_once() -> None:
    async def scene(stage: Scene) -> None:
        await stage.ready()
        stage.instance.exited(9, out_of_memory=False)
        stage.instance.exited(9, out_of_memory=False)
        assert stage.peer.ended == [stage.instance]

    play(scene)


def test_a_death_before_ready_is_told_of_once_with_its_cause() -> None:
    async def scene(stage: Scene) -> None:
        stage.instance.exited(70 << 8, out_of_memory=False)
        stage.instance.exited(9, out_of_memory=True)
        assert stage.peer.ended == [stage.instance] and stage.peer.ready == []
        assert stage.instance.last is not None
        assert stage.instance.last.message == "the process exited with code 70"

    play(scene)


def test_a_deadline_kills() -> None:
    async def scene(stage: Scene) -> None:
        waiter = await stage.invoked()
        stage.instance.expire()
        reply = await waiter
        assert (reply.outcome, reply.reusable) == (Outcome.TIMEOUT, False)
        assert stage.peer.killed == [7] and not stage.instance.alive

    play(scene, reuse=True)


def test_an_ended_instance_answers_that_it_has() -> None:
    async def scene(stage: Scene) -> None:
        await stage.ready()
        stage.instance.close()
        stage.instance.close()
        reply = await stage.instance.invoke(b"{}", b"1", stage.output)
        assert (reply.outcome, reply.type) == (Outcome.CRASHED, "InstanceGone")
        assert stage.peer.killed == [7]

    play(scene)


def test_a_socket_that_takes_nothing_is_a_crash() -> None:
    async def scene(stage: Scene) -> None:
        await stage.ready()
        stage.hang_up()
        waiter = stage.instance.invoke(b"{}", b"1", stage.output)
        await stage.peer.settle()
        stage.instance.exited(9, out_of_memory=False)
        assert (await waiter).outcome is Outcome.CRASHED

    play(scene)


def test_a_peer_that_stops_reading_while_a_large_event_is_sent() -> None:
    async def scene(stage: Scene) -> None:
        waiter = await stage.invoked(event=b"x" * 4_000_000)
        stage.hang_up()
        await stage.peer.settle()
        stage.instance.exited(9, out_of_memory=False)
        assert (await waiter).outcome is Outcome.CRASHED

    play(scene)


def test_a_reply_is_given_even_if_the_kill_cannot_be_asked_for() -> None:
    def refuse(number: int) -> None:
        raise UnavailableError("the supervisor takes no requests")

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, _context: None)
        peer = InstancePeer(loop, kill=refuse)
        await peer.send(READY)
        waiter = peer.instance.invoke(b"{}", b"1", Output(10))
        await peer.send(error("handler-error"))
        peer.sock.close()
        os.close(peer.output)
        assert waiter.done()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (0, "exited with code 0"),
        (3 << 8, "exited with code 3"),
        (9, "was killed by signal 9"),
        (11 | 0x80, "was killed by signal 11"),
    ],
)
def test_a_status_in_words(status: int, text: str) -> None:
    assert describe_status(status) == text


def guard_frame(**changes: Any) -> bytes:
    head = {
        "sink": "sql",
        "mode": "block",
        "place": "app.py:1",
        "location": "app:f",
        "source": "event",
        "pointer": "/a",
        "decoding": [],
        "changed": "c",
        "fix": "f",
        **changes,
    }
    return wire.pack(wire.GUARD, json.dumps(head).encode())


def test_what_the_guard_tells_is_handed_on_before_the_answer() -> None:
    async def scene(stage: Scene) -> None:
        await stage.ready()
        told: list[Any] = []
        waiter = stage.instance.invoke(b"{}", b"1", stage.output, None, told.append)
        await stage.peer.send(guard_frame() + guard_frame(sink="path"))
        await stage.peer.send(error("blocked"))
        reply = await waiter
        assert reply.outcome is Outcome.BLOCKED
        assert [head.sink for head in told] == ["sql", "path"]

    play(scene)


def shapes_frame(told: object) -> bytes:
    return wire.pack(wire.GUARD, b"{}", json.dumps(told).encode())


def test_shapes_are_handed_on_once() -> None:
    async def scene(stage: Scene) -> None:
        await stage.ready()
        told: list[Any] = []
        waiter = stage.instance.invoke(b"{}", b"1", stage.output, None, told.append)
        await stage.peer.send(shapes_frame({"met": ["sql a"], "refused": ["sql b"]}) + ANSWER)
        assert (await waiter).outcome is Outcome.OK
        assert [(head.met, head.refused) for head in told] == [(("sql a",), ("sql b",))]

    play(scene)


@pytest.mark.parametrize(
    "frame",
    [
        shapes_frame({"met": ["x"] * 33, "refused": []}),
        shapes_frame({"met": ["x" * 241], "refused": []}),
        shapes_frame({"met": [1], "refused": []}),
        shapes_frame({"met": [], "refused": [], "more": 1}),
        shapes_frame([]),
        shapes_frame({"met": []}) * 2,
        wire.pack(wire.GUARD, b"{}", b"[" * 200_000),
        guard_frame(sink=1),
        guard_frame(decoding="base64"),
        wire.pack(wire.GUARD, b"{}"),
        wire.pack(wire.GUARD),
        guard_frame() * 65,
    ],
)
def test_what_is_no_record_of_the_guard_ends_the_instance(frame: bytes) -> None:
    async def scene(stage: Scene) -> None:
        await stage.ready()
        told: list[Any] = []
        waiter = stage.instance.invoke(b"{}", b"1", stage.output, None, told.append)
        await stage.peer.send(frame)
        assert (await waiter).outcome is Outcome.PROTOCOL_VIOLATION
        assert len(told) <= 64

    play(scene)


def test_a_record_of_the_guard_that_nobody_waits_for_is_a_violation() -> None:
    async def scene(stage: Scene) -> None:
        assert (await stage.reply(guard_frame())).outcome is Outcome.PROTOCOL_VIOLATION

    play(scene)


DEEP = b"[" * 200_000


@pytest.mark.parametrize(
    "frame",
    [
        wire.pack(wire.LOG, b'{"level": "info", "at": 1, "x": ' + DEEP),
        wire.pack(wire.ERROR, b'{"kind": "handler-error", "x": ' + DEEP),
        wire.pack(wire.GUARD, b'{"sink": "sql", "x": ' + DEEP),
    ],
    ids=["log", "error", "guard"],
)
@pytest.mark.parametrize("dead", [False, True])
def test_a_head_nested_too_deeply_is_a_violation(frame: bytes, dead: bool) -> None:
    async def scene(stage: Scene) -> None:
        await stage.ready()
        told: list[Any] = []
        waiter = stage.instance.invoke(b"{}", b"1", stage.output, None, told.append)
        await stage.loop.sock_sendall(stage.peer.sock, frame)
        if dead:
            stage.instance.exited(0, out_of_memory=False)
        assert (await waiter).outcome is Outcome.PROTOCOL_VIOLATION

    play(scene)


def test_a_fault_of_ours_in_a_frame_ends_the_instance() -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("a fault of ours")

    async def scene(stage: Scene) -> None:
        await stage.ready()
        waiter = stage.instance.invoke(b"{}", b"1", stage.output, fail)
        await stage.peer.send(wire.pack(wire.CAPABILITY, b"{}"))
        assert (await waiter).outcome is Outcome.INTERNAL_ERROR
        assert stage.peer.killed == [7]

    play(scene)


class Broker:
    """Answers each request at once with the same body."""

    def __init__(self, body: bytes = b"") -> None:
        self.asked = 0
        self.body = body

    def __call__(self, instance: Any, head: bytes, _body: bytes) -> None:
        self.asked += 1
        assert instance.reply(instance.served, head, self.body)


REQUEST = wire.pack(wire.CAPABILITY, b'{"n":1}')


def test_requests_made_one_after_the_other_are_answered_for_as_long_as_they_are_read() -> None:
    async def scene(stage: Scene) -> None:
        await stage.ready()
        broker = Broker()
        waiter = stage.instance.invoke(b"{}", b"1", stage.output, broker)
        await stage.peer.event()
        for _ in range(2000):
            await stage.peer.send(REQUEST)
            await stage.peer.event()
        await stage.peer.send(ANSWER)
        assert (await waiter).outcome is Outcome.OK
        assert broker.asked == 2000

    play(scene)


@pytest.mark.parametrize("at_once", [1, 3])
def test_who_never_reads_has_few_replies_waiting(at_once: int) -> None:
    async def scene(stage: Scene) -> None:
        await stage.ready()
        broker = Broker(b"x" * (1 << 20))
        waiter = stage.instance.invoke(b"{}", b"1", stage.output, broker)
        while not waiter.done():
            with contextlib.suppress(OSError):
                await stage.loop.sock_sendall(stage.peer.sock, REQUEST * at_once)
            await stage.peer.settle()
        assert (await waiter).outcome is Outcome.PROTOCOL_VIOLATION
        assert broker.asked <= 5

    play(scene)


def test_requests_that_come_together_count_together() -> None:
    """No matter how fast they could be answered: nobody else gets a turn meanwhile."""

    async def scene(stage: Scene) -> None:
        await stage.ready()
        broker = Broker()
        waiter = stage.instance.invoke(b"{}", b"1", stage.output, broker)
        await stage.peer.send(REQUEST * 100)
        assert (await waiter).outcome is Outcome.PROTOCOL_VIOLATION
        assert broker.asked == 4

    play(scene)


def test_a_reply_that_is_never_read_ends_its_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "DELIVERY_SECONDS", 0.05)

    async def scene(stage: Scene) -> None:
        await stage.ready()
        waiter = stage.instance.invoke(b"{}", b"1", stage.output, Broker(b"x" * (4 << 20)))
        await stage.peer.send(REQUEST)
        taken = asyncio.ensure_future(stage.instance.taken())
        reply = await waiter
        assert (reply.outcome, reply.type) == (Outcome.PROTOCOL_VIOLATION, "ReplyNotRead")
        assert stage.peer.killed == [7]
        await taken

    play(scene)


def test_a_reused_instance_that_left_a_reply_unread_serves_nobody_else() -> None:
    async def scene(stage: Scene) -> None:
        await stage.ready()
        waiter = stage.instance.invoke(b"{}", b"1", stage.output, Broker(b"x" * (4 << 20)))
        await stage.peer.send(REQUEST)
        await stage.peer.send(ANSWER)
        reply = await waiter
        assert (reply.outcome, reply.reusable) == (Outcome.OK, False)

    play(scene, reuse=True)


def test_a_flood_of_log_frames_is_read_slowly() -> None:
    async def scene(stage: Scene) -> None:
        waiter = await stage.invoked()
        lines = log(text=b"") * 200
        written = 0
        end = stage.loop.time() + 0.5
        while stage.loop.time() < end:
            try:
                written += stage.peer.sock.send(lines)
            except BlockingIOError:
                await asyncio.sleep(0)
        assert not waiter.done()
        # The rest of its lines cannot fit; past the first MiB it is 1 MiB every 10 ms at most,
        # and 16 KiB as long as no frame is longer.
        assert written < (4 << 20) + 0.5 / 0.01 * (64 << 10)
        stage.instance.close()

    play(scene)


def test_lines_are_counted_as_well_as_their_bytes() -> None:
    output = Output(1 << 20)
    for _ in range(MAX_LINES + 5):
        output.add(0.0, "info", b"\n")
    assert (len(output.entries), output.dropped) == (MAX_LINES, 5)


@pytest.mark.parametrize(
    "sent",
    [ANSWER, error("handler-error"), error("bad-result"), error("response-too-large"), b""],
    ids=["answer", "error", "bad-result", "too-large", "death"],
)
def test_a_call_that_was_stopped_ends_as_blocked_whatever_comes_of_it(sent: bytes) -> None:
    async def scene(stage: Scene) -> None:
        await stage.ready()
        told: list[Any] = []
        waiter = stage.instance.invoke(b"{}", b"1", stage.output, None, told.append)
        await stage.peer.send(guard_frame() + sent)
        if not sent:
            stage.instance.exited(256, out_of_memory=False)
        reply = await waiter
        assert (reply.outcome, reply.type, reply.body) == (Outcome.BLOCKED, "BlockedError", b"")
        assert "sql" in reply.message

    play(scene)


def test_a_handler_that_waits_for_what_was_stopped_does_not_wait_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard_watch, "_BLOCKED_SECONDS", 0.05)

    async def scene(stage: Scene) -> None:
        await stage.ready()
        waiter = stage.instance.invoke(b"{}", b"1", stage.output, None, lambda _: None)
        await stage.peer.send(guard_frame())
        assert (await waiter).outcome is Outcome.BLOCKED
        assert stage.peer.killed == [7]

    play(scene)


def test_what_the_guard_only_reports_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_watch, "_BLOCKED_SECONDS", 0.01)

    async def scene(stage: Scene) -> None:
        for _ in range(2):
            if not stage.peer.ready:
                await stage.ready()
            waiter = stage.instance.invoke(b"{}", b"1", stage.output, None, lambda _: None)
            await stage.peer.send(guard_frame(mode="report"))
            await asyncio.sleep(0.03)
            await stage.peer.send(ANSWER)
            assert (await waiter).outcome is Outcome.OK

    play(scene, reuse=True)
