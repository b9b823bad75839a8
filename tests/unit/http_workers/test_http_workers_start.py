"""How many processes a host gets, and what may be asked for."""

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
from casemate.cli.commands.serve import _gateways
from casemate.cli.errors import UsageError
from casemate.http_workers import protocol
from casemate.http_workers.protocol import Kind
from casemate.http_workers.start import HttpWorkerStarter, _copy_of, gateways_for
from casemate.http_workers.workers import HttpWorkers
from casemate.model.http import HttpResponse
from casemate.model.processes import MOST_GATEWAYS


def test_from_four_cores_on_others_take_connections() -> None:
    found = {cores: gateways_for(cores) for cores in (1, 2, 3, 4, 7, 8, 12, 16, 64)}
    assert found == {1: 1, 2: 1, 3: 1, 4: 2, 7: 2, 8: 3, 12: 4, 16: 4, 64: 4}


def test_a_number_may_be_named() -> None:
    assert [_gateways(text) for text in ("auto", "1", "2", str(MOST_GATEWAYS))] == [
        None,
        1,
        2,
        MOST_GATEWAYS,
    ]


@pytest.mark.parametrize("text", ["0", "-1", "17", "two", "", "1.5", "\u0663", "9" * 50])
def test_what_is_no_number_of_processes_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected auto or a number from 1 to 16"):
        _gateways(text)


def test_a_node_that_has_closed_its_listener_starts_none(caplog: pytest.LogCaptureFixture) -> None:
    """As when a worker ends while the node is told to stop: the supervisor goes on."""
    listener = socket.create_server(("127.0.0.1", 0))
    starter = HttpWorkerStarter(None, listener)
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
    with listener, held, contextlib.closing(HttpWorkerStarter(None, listener)):
        held.setblocking(False)
        with _copy_of(listener):
            assert not os.get_blocking(held.fileno())
        # One that was taken over sets it so: the others wait for a moment, not for good.
        os.set_blocking(held.fileno(), True)
        began = time.monotonic()
        with pytest.raises(BlockingIOError):
            held.accept()
        assert time.monotonic() - began < 5
