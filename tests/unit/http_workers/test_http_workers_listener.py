"""Workers come and go: what the listener, the supervisor and a drain make of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time

import pytest
import uvloop

from casemate.child.frames import FrameError
from casemate.child.starter import START
from casemate.http_workers import protocol
from casemate.http_workers.handed_on import make_pair
from casemate.http_workers.protocol import Kind
from casemate.http_workers.start import HttpWorkerStarter, _copy_of
from casemate.http_workers.workers import HttpWorkers
from casemate.model.http import HttpResponse


def test_a_node_that_has_closed_its_listener_starts_none(caplog: pytest.LogCaptureFixture) -> None:
    """As when a worker ends while the node is told to stop: the supervisor goes on."""
    listener = socket.create_server(("127.0.0.1", 0))
    starter = HttpWorkerStarter(None, listener, make_pair())
    with contextlib.closing(starter):
        listener.close()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            socket.send_fds(starter.gateway_end, [START], [theirs.fileno()])
            theirs.close()
            assert starter.serve()
            assert ours.recv(1) == b""
    assert "There is no listener" in caplog.text


def test_a_drain_ends_where_no_worker_is_there_and_nobody_drains_unasked() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        workers = HttpWorkers(lambda _head: HttpResponse(404), [ours], on_error=lambda _: "e1")
        (worker,) = workers._workers
        worker.process.start()
        with pytest.raises(FrameError):
            worker._received(protocol.frame(Kind.DRAINED))
        worker.process._ended("a test")  # and another one is started soon
        async with asyncio.timeout(2):
            assert await workers.drain(30.0) == 0
        theirs.close()

    uvloop.run(main())


def test_no_worker_hangs_in_a_listener_that_another_one_was_given() -> None:
    """A copy of a blocking one made it so for all, whenever a worker was started."""
    listener = socket.create_server(("127.0.0.1", 0))
    held = socket.socket(fileno=os.dup(listener.fileno()))
    left = make_pair()
    with listener, held, contextlib.closing(HttpWorkerStarter(None, listener, left)):
        held.setblocking(False)
        with _copy_of(listener):
            assert not os.get_blocking(held.fileno())
        # One that was taken over sets it so: the others wait for a moment, not for good.
        os.set_blocking(held.fileno(), True)
        began = time.monotonic()
        with pytest.raises(BlockingIOError):
            held.accept()
        assert time.monotonic() - began < 30
