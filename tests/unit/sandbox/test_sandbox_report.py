"""A zygote's report: descriptors in the first frame and never after it, none left behind."""

from __future__ import annotations

import array
import asyncio
import contextlib
import gc
import json
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casemate.model.errors import UnavailableError
from casemate.runner import wire
from casemate.sandbox.report import Report
from casemate.sandbox.system_calls import SystemCallWatch


def listening(kind: int = socket.SOCK_STREAM, family: int = socket.AF_INET) -> socket.socket:
    sock = socket.socket(family, kind)
    sock.bind(("127.0.0.1", 0) if family == socket.AF_INET else b"")
    if kind == socket.SOCK_STREAM:
        sock.listen()
    return sock


def first(listeners: Any, *, body: bytes = b"", kind: bytes = wire.DESCRIPTORS) -> bytes:
    return wire.pack(kind, json.dumps({"listeners": listeners}).encode(), body)


class Stage:
    """A report whose other end a test has; `wanted` listeners are taken over as they come."""

    def __init__(self, wanted: int = 1) -> None:
        self.loop = asyncio.get_running_loop()
        self.wanted = wanted
        self.taken: list[tuple[list[int], int]] = []
        self.calls = 0
        self.report = Report(self.loop, self._take)
        with self.report.other_ends() as (sock, output):
            self.sock = socket.socket(fileno=os.dup(sock))
            self.output = os.dup(output)

    def _take(self) -> None:
        self.calls += 1
        self.taken.append(self.report.take_descriptors(self.wanted))

    async def send(self, data: bytes, descriptors: Sequence[int] = ()) -> None:
        socket.send_fds(self.sock, [data], descriptors)
        await self.settle()

    async def settle(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)

    async def begin(self, listeners: int = 1) -> None:
        """Send what trusted code sends."""
        opened = [listening() for _ in range(listeners)]
        notify = os.eventfd(0)
        await self.send(first(listeners), [*(s.fileno() for s in opened), notify])
        os.close(notify)
        for sock in opened:
            sock.close()

    def refused(self) -> bool:
        with pytest.raises(UnavailableError):
            self.report.require_descriptors()
        return self.taken == []

    def close(self) -> None:
        self.report.close()
        self.sock.close()
        os.close(self.output)
        for listeners, notify in self.taken:
            for descriptor in (*listeners, notify):
                os.close(descriptor)


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def play(scene: Callable[[Stage], Awaitable[None]], wanted: int = 1) -> None:
    """Play a scene; afterwards no descriptor is left and no callback has failed."""
    faults: list[dict[str, Any]] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, c: faults.append(c))
        stage = Stage(wanted)
        try:
            await asyncio.wait_for(scene(stage), 10)
        finally:
            stage.close()

    gc.collect()  # what earlier tests left is not this one's
    before = len(open_descriptors())
    asyncio.run(run())
    # Fewer where a thread of an earlier test has let go of one meanwhile.
    assert len(open_descriptors()) <= before
    assert not faults, faults


# -- the honest case -----------------------------------------------------------------------------


@pytest.mark.parametrize("listeners", [0, 1, 32])
def test_the_first_frame_brings_exactly_what_was_asked_for(listeners: int) -> None:
    async def scene(stage: Stage) -> None:
        await stage.begin(listeners)
        stage.report.require_descriptors()
        [(taken, notify)] = stage.taken
        assert len(taken) == listeners and notify not in taken
        for descriptor in taken:
            with socket.socket(fileno=os.dup(descriptor)) as sock:
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        assert stage.report.error() is None

    play(scene, listeners)


@pytest.mark.parametrize("listeners", [0, 1])
def test_a_filter_without_a_listener_is_said_to_have_none(listeners: int) -> None:
    async def scene(stage: Stage) -> None:
        opened = [listening() for _ in range(listeners)]
        head = json.dumps({"listeners": listeners, "notifies": False}).encode()
        await stage.send(wire.pack(wire.DESCRIPTORS, head), [s.fileno() for s in opened])
        stage.report.require_descriptors()
        [(taken, notify)] = stage.taken
        assert (len(taken), notify) == (listeners, None)
        stage.taken = [(taken, os.eventfd(0))]
        for sock in opened:
            sock.close()

    play(scene, wanted=listeners)


@pytest.mark.parametrize(("notifies", "sent"), [(True, 0), (False, 1)])
def test_more_or_fewer_notifications_than_said_are_refused(notifies: bool, sent: int) -> None:
    async def scene(stage: Stage) -> None:
        head = json.dumps({"listeners": 0, "notifies": notifies}).encode()
        await stage.send(wire.pack(wire.DESCRIPTORS, head), [stage.output] * sent)
        assert stage.refused()

    play(scene, wanted=0)


def test_descriptors_do_not_outlive_an_exec() -> None:
    async def scene(stage: Stage) -> None:
        await stage.begin()
        [(taken, notify)] = stage.taken
        assert not any(os.get_inheritable(descriptor) for descriptor in (*taken, notify))

    play(scene)


def test_they_are_taken_over_once() -> None:
    async def scene(stage: Stage) -> None:
        await stage.begin()
        for _ in range(3):
            stage.report.require_descriptors()
        await stage.begin()
        assert stage.calls == 1
        with pytest.raises(UnavailableError):
            stage.report.take_descriptors(1)

    play(scene)


def test_what_came_but_was_not_read_yet_counts() -> None:
    async def scene(stage: Stage) -> None:
        with listening() as sock:
            notify = os.eventfd(0)
            socket.send_fds(stage.sock, [first(1)], [sock.fileno(), notify])
            os.close(notify)
        stage.report.require_descriptors()
        assert stage.calls == 1

    play(scene)


def test_an_error_after_it_is_the_function_s_own_words() -> None:
    async def scene(stage: Stage) -> None:
        await stage.begin()
        detail = {"kind": "init-error", "type": "E", "message": "m", "trace": "t"}
        other = {**detail, "message": "another"}
        await stage.send(wire.pack(wire.ERROR, json.dumps(detail).encode()))
        await stage.send(wire.pack(wire.ERROR, json.dumps(other).encode()))
        error = stage.report.error()
        assert error is not None and error.message == "m"  # the first one is believed

    play(scene)


def test_an_error_that_waits_behind_the_first_frame_is_read() -> None:
    async def scene(stage: Stage) -> None:
        detail = {"kind": "init-error", "type": "E", "message": "m", "trace": "t"}
        notify = os.eventfd(0)
        with listening() as sock:
            socket.send_fds(stage.sock, [first(1)], [sock.fileno(), notify])
        os.close(notify)
        stage.sock.send(wire.pack(wire.ERROR, json.dumps(detail).encode()))
        assert stage.report.error() is not None

    play(scene)


def test_what_an_import_prints_is_kept_up_to_a_bound() -> None:
    async def scene(stage: Stage) -> None:
        os.set_blocking(stage.output, False)
        for _ in range(40):
            os.write(stage.output, b"x" * 4096)
            await stage.settle()
        assert stage.report.printed() == "x" * 65536

    play(scene)


# -- not what was asked for ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "sent"), [(0, 0), (0, 1), (1, 0), (1, 2), (2, 1), (2, 2), (0, 2), (-1, 1), (10**12, 1)]
)
def test_a_wrong_count_is_refused_whole(said: int, sent: int) -> None:
    async def scene(stage: Stage) -> None:
        opened = [listening() for _ in range(sent)]
        notify = os.eventfd(0)
        await stage.send(first(said), [*(s.fileno() for s in opened), notify])
        os.close(notify)
        for sock in opened:
            sock.close()
        assert stage.refused()

    play(scene)


@pytest.mark.parametrize("sent", [0, 1])
def test_too_few_descriptors_are_refused(sent: int) -> None:
    async def scene(stage: Stage) -> None:
        with listening() as sock:
            await stage.send(first(1), [sock.fileno()][:sent])
        assert stage.refused()

    play(scene)


def _plain() -> socket.socket:
    return socket.socket()


def _datagram() -> socket.socket:
    return listening(socket.SOCK_DGRAM)


def _unix() -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(b"")  # an abstract name of the kernel's choice
    sock.listen()
    return sock


def _version_6() -> socket.socket:
    sock = socket.socket(socket.AF_INET6)
    sock.listen()
    return sock


def _connected() -> socket.socket:
    with listening() as server:
        return socket.create_connection(server.getsockname())


NOT_LISTENERS = (_plain, _datagram, _unix, _version_6, _connected)


@pytest.mark.parametrize("make", NOT_LISTENERS, ids=lambda make: make.__name__.strip("_"))
def test_what_is_no_listener_is_refused(make: Callable[[], socket.socket]) -> None:
    async def scene(stage: Stage) -> None:
        notify = os.eventfd(0)
        with listening() as good, make() as bad:
            await stage.send(first(2), [good.fileno(), bad.fileno(), notify])
        os.close(notify)
        assert stage.refused()

    play(scene, 2)


def test_a_file_is_no_listener() -> None:
    async def scene(stage: Stage) -> None:
        notify, file = os.eventfd(0), os.open("/proc/self/status", os.O_RDONLY)
        await stage.send(first(1), [file, notify])
        os.close(notify)
        os.close(file)
        assert stage.refused()

    play(scene)


# -- descriptors that come later, or too many ----------------------------------------------------


def test_descriptors_after_the_first_frame_are_not_taken() -> None:
    async def scene(stage: Stage) -> None:
        await stage.begin()
        before = open_descriptors()
        for data in (first(1), wire.pack(wire.READY), b"garbage"):
            with listening() as sock:
                await stage.send(data, [sock.fileno()] * 8)
        assert open_descriptors() <= before and stage.calls == 1

    play(scene)


def test_descriptors_behind_an_empty_first_frame_are_not_taken() -> None:
    async def scene(stage: Stage) -> None:
        await stage.send(wire.pack(wire.READY))
        before = open_descriptors()
        await stage.begin()
        assert open_descriptors() <= before
        assert stage.refused() and stage.calls == 0

    play(scene)


def test_the_words_of_a_function_are_no_first_frame() -> None:
    """Code that is imported may find the socket: what it sends first brings nothing."""

    async def scene(stage: Stage) -> None:
        detail = {"kind": "init-error", "type": "E", "message": "m", "trace": "t"}
        with listening() as sock:
            error = wire.pack(wire.ERROR, json.dumps(detail).encode())
            await stage.send(error, [sock.fileno(), sock.fileno()])
        assert stage.refused() and stage.calls == 0

    play(scene)


def test_cut_ancillary_data_is_refused_and_closed() -> None:
    async def scene(stage: Stage) -> None:
        before = open_descriptors()
        with listening() as sock:
            await stage.send(first(199), [sock.fileno()] * 200)
        assert open_descriptors() <= before
        assert stage.refused() and stage.calls == 0

    play(scene, 199)


def test_credentials_are_no_descriptors() -> None:
    async def scene(stage: Stage) -> None:
        credentials = array.array("i", [os.getpid(), os.getuid(), os.getgid()])
        stage.sock.sendmsg([first(2)], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, credentials)])
        await stage.settle()
        assert stage.refused()

    play(scene, 2)


# -- hostile frames ------------------------------------------------------------------------------

HOSTILE = {
    "nothing of use": b"\0",
    "garbage": b"GET / HTTP/1.1\r\n\r\n",
    "half a header": first(1)[:4],
    "half a head": first(1)[:-3],
    "another kind": first(1, kind=wire.READY),
    "a kind of instances": wire.pack(wire.ANSWER, b"{}"),
    "a body": first(1, body=b"x"),
    "an endless head": wire.HEADER.pack(wire.DESCRIPTORS, 0xFFFFFFFF, 0),
    "an endless body": wire.HEADER.pack(wire.DESCRIPTORS, 2, 0xFFFFFFFF),
    "no JSON": wire.pack(wire.DESCRIPTORS, b"{"),
    "no UTF-8": wire.pack(wire.DESCRIPTORS, b'{"listeners":1,"\xff":1}'),
    "nothing said": wire.pack(wire.DESCRIPTORS, b"{}"),
    "a text": first("1"),
    "a truth": first(True),
    "a fraction": first(1.5),
    "nothing": first(None),
    "a list": first([1]),
    "more than asked": wire.pack(wire.DESCRIPTORS, b'{"listeners":1,"x":1}'),
    "deep": wire.pack(wire.DESCRIPTORS, b'{"listeners":' + b"[" * 100_000),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_first_frame_that_is_none_brings_nothing(data: bytes) -> None:
    async def scene(stage: Stage) -> None:
        before = open_descriptors()
        notify = os.eventfd(0)
        with listening() as sock:
            await stage.send(data, [sock.fileno(), notify])
        os.close(notify)
        assert open_descriptors() <= before
        assert stage.refused() and stage.calls == 0
        # It is over: nothing that comes later repairs it.
        await stage.begin()
        assert stage.refused() and stage.report.error() is None

    play(scene)


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow]
)
@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5), st.booleans())
def test_no_bytes_after_the_first_frame_do_harm(pieces: list[bytes], ended: bool) -> None:
    async def scene(stage: Stage) -> None:
        await stage.begin()
        for piece in pieces:
            await stage.send(piece)
        if ended:
            stage.sock.shutdown(socket.SHUT_RDWR)
            await stage.settle()
        stage.report.error()
        stage.report.require_descriptors()
        assert stage.calls == 1

    play(scene)


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow]
)
@given(st.binary(min_size=1, max_size=60), st.integers(0, 4))
def test_no_first_bytes_take_a_descriptor_over(data: bytes, sent: int) -> None:
    async def scene(stage: Stage) -> None:
        with listening() as sock:
            await stage.send(data, [sock.fileno()] * sent)
        assert stage.refused()

    play(scene)


def test_a_report_that_ends_without_a_word() -> None:
    async def scene(stage: Stage) -> None:
        stage.sock.shutdown(socket.SHUT_RDWR)
        await stage.settle()
        assert stage.refused()
        assert stage.report.error() is None and stage.report.printed() == ""

    play(scene)


# -- nothing is left behind ----------------------------------------------------------------------


def test_a_report_closed_before_it_was_read_leaves_nothing() -> None:
    async def scene(stage: Stage) -> None:
        with listening() as sock:
            socket.send_fds(stage.sock, [first(1)], [sock.fileno(), sock.fileno()])
        # Closed with the frame still in the socket: the kernel closes what it holds.

    play(scene)


def test_ends_that_no_zygote_got_are_closed() -> None:
    async def scene(stage: Stage) -> None:
        before = open_descriptors()
        Report(stage.loop, lambda: None).close()
        assert open_descriptors() <= before

    play(scene)


def test_a_take_over_that_fails_closes_what_it_took() -> None:
    async def scene(stage: Stage) -> None:
        def connect() -> None:  # as SandboxClient._connect does
            _, notify = report.take_descriptors(1)
            SystemCallWatch(notify, stage.loop, lambda call: None)

        report = Report(stage.loop, connect)
        with report.other_ends() as (sock, _), listening() as server:
            before = len(open_descriptors())
            file = os.open("/proc/self/status", os.O_RDONLY)  # epoll takes no regular file
            with socket.socket(fileno=os.dup(sock)) as other:
                socket.send_fds(other, [first(1)], [server.fileno(), file])
            os.close(file)
            with pytest.raises(UnavailableError):
                report.require_descriptors()
            after = len(open_descriptors())
        report.close()
        assert after == before

    play(scene)


# -- what comes after the descriptors ------------------------------------------------------------


def test_what_an_import_says_is_read_once_it_has_ended_and_not_without_end() -> None:
    async def scene(stage: Stage) -> None:
        await stage.begin()
        stage.sock.setblocking(False)
        frame = wire.pack(wire.LOADED, json.dumps({"files": ["a.py"] * 5_000}).encode())
        before = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                before += stage.sock.send(frame[before % len(frame) :])
                await stage.settle()
        assert len(frame) < before < 1 << 20  # nobody took the core to read it
        sent = before
        for _ in range(200):
            assert stage.report.loaded() == ["a.py"] * 5_000
            with contextlib.suppress(BlockingIOError):
                while True:
                    sent += stage.sock.send(frame[sent % len(frame) :])
        assert sent < 3 << 20

    play(scene)
