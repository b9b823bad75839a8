"""The restorer as a process: confined, exact in what it takes, and never missed by an instance."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from casemate.child.start import Child
from casemate.kernel import linux
from casemate.kernel.process_files import open_process
from casemate.model.processes import RESTORER_UID
from casemate.restorer.protocol import (
    DISCARDED,
    HELD,
    HOLD,
    MAKE_READY,
    READY,
    REQUEST,
    Report,
    ReportError,
    read_report,
)
from casemate.restorer.reasons import Reason
from casemate.restorer.start import KEEPS, start_restorer
from support.restored import RestoredChild

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(os.geteuid() != 0, reason="a restorer is for root"),
]


@pytest.fixture
def restorer() -> Iterator[Child]:
    child = start_restorer()
    child.control.settimeout(30)
    held = child.receive_ready().held
    assert held.capabilities == KEEPS and held.filtered and not held.dumpable
    yield child
    child.close()


def hold(restorer: Child, child: RestoredChild, number: int = 1, filters: int = 2) -> Report:
    tmp = linux.new_tmpfs(1 << 20, 64)
    descriptors = [*open_process(child.pid), child.uffd, tmp]
    socket.send_fds(restorer.control, [REQUEST.pack(HOLD, number, child.pid, filters)], descriptors)
    for descriptor in descriptors[:-2]:
        os.close(descriptor)
    os.close(tmp)
    return report(restorer)


def report(restorer: Child) -> Report:
    return read_report(restorer.control.recv(100))


def make_ready(restorer: Child, number: int = 1) -> Report:
    restorer.control.send(REQUEST.pack(MAKE_READY, number, 0, 0))
    return report(restorer)


@pytest.fixture
def child() -> Iterator[RestoredChild]:
    running = RestoredChild()
    yield running
    running.close()


def test_an_instance_is_held_and_restored(restorer: Child, child: RestoredChild) -> None:
    assert hold(restorer, child) == Report(HELD, 1, None, 0, 0)
    child.go()
    assert make_ready(restorer).kind == READY
    for _ in range(20):
        assert child.call("state['x'] = 1; result = len(state)") == 1
        told = make_ready(restorer)
        assert told.kind == READY and 0 < told.pages < 2000
    child.call("os.umask(0)")
    told = make_ready(restorer)
    assert (told.kind, told.reason, told.detail) == (DISCARDED, Reason.CALL, 95)


def test_its_calls_are_let_through_and_flagged(restorer: Child, child: RestoredChild) -> None:
    hold(restorer, child)
    child.go()
    make_ready(restorer)
    assert child.call("result = [os.umask(0o22) for _ in range(500)][-1]") == 0o22
    assert (
        child.call("t = threading.Thread(target=time.sleep, args=(.01,)); t.start(); t.join()")
        is None
    )
    assert make_ready(restorer).reason is Reason.CALL


def test_the_end_of_an_instance_is_told(restorer: Child, child: RestoredChild) -> None:
    hold(restorer, child)
    child.go()
    make_ready(restorer)
    # Here it is not the first process of a namespace, with which its twin would end.
    for pid in (*child.children(), child.pid):
        os.kill(pid, signal.SIGKILL)
    assert report(restorer) == Report(DISCARDED, 1, Reason.GONE, 0, 0)
    assert make_ready(restorer) == Report(DISCARDED, 1, Reason.GONE, 0, 0)


def test_a_call_goes_on_without_a_restorer_and_what_it_flags_fails(
    restorer: Child, child: RestoredChild
) -> None:
    hold(restorer, child)
    child.go()
    make_ready(restorer)
    child.send("time.sleep(0.5); result = raw('umask', 0)")
    time.sleep(0.1)
    restorer.kill()
    assert child.answer() == -38


def test_who_is_stopped_ends_with_the_restorer(restorer: Child, child: RestoredChild) -> None:
    hold(restorer, child)
    child.go()
    make_ready(restorer)
    [twin] = child.children()
    restorer.kill()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{twin}").exists() and "Z" not in _state(twin):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


@pytest.mark.parametrize("delay", [0.0, 0.0002, 0.0005, 0.001, 0.002, 0.004])
def test_killed_at_any_step_nothing_is_restored_by_half(
    restorer: Child, child: RestoredChild, delay: float
) -> None:
    hold(restorer, child)
    child.go()
    make_ready(restorer)
    child.call("state['x'] = 1; state['y'] = 'z' * 100000")
    restorer.control.send(REQUEST.pack(MAKE_READY, 1, 0, 0))
    time.sleep(delay)
    restorer.kill()
    try:
        restored = report(restorer).kind == READY
    except (OSError, ReportError):
        restored = False
    if restored:
        # It said so before its end: then it was.
        assert child.call("result = len(state)") == 0


@pytest.mark.parametrize(
    "data", [b"x", REQUEST.pack(b"Z", 1, 0, 0), REQUEST.pack(HOLD, 1, 1, 1), b"y" * 40]
)
def test_another_request_ends_it(restorer: Child, data: bytes) -> None:
    restorer.control.send(data)
    assert restorer.control.recv(100) == b""


def test_descriptors_of_another_kind_hold_nothing(restorer: Child, child: RestoredChild) -> None:
    null = os.open("/dev/null", os.O_RDONLY)
    count = len(open_process(child.pid)) + 2
    socket.send_fds(restorer.control, [REQUEST.pack(HOLD, 1, child.pid, 2)], [null] * count)
    assert report(restorer).kind == DISCARDED
    os.close(null)


def test_who_is_not_there_is_not_held(restorer: Child, child: RestoredChild) -> None:
    descriptors = [*open_process(child.pid), child.uffd, child.uffd]
    socket.send_fds(restorer.control, [REQUEST.pack(HOLD, 1, 2**22 + 9, 2)], descriptors)
    assert report(restorer).reason is Reason.GONE


def test_it_ends_with_its_supervisor() -> None:
    child = start_restorer()
    child.control.settimeout(30)
    child.receive_ready()
    assert Path(f"/proc/{child.pid}/status").read_text().count(f"\t{RESTORER_UID}") >= 4
    child.close()
    assert not child.alive


@pytest.mark.parametrize("data", [b"", b"x" * 14, Report(b"q", 1, None, 0, 0).packed()])
def test_another_report_is_refused(data: bytes) -> None:
    with pytest.raises(ReportError):
        read_report(data)
    with pytest.raises(ReportError):
        read_report(Report(READY, 1, Reason.CALL, 0, 0).packed())
    with pytest.raises(ReportError):
        read_report(Report(DISCARDED, 1, None, 0, 0).packed())
    whole = bytearray(Report(DISCARDED, 1, Reason.CALL, 0, 0).packed())
    whole[5] = 99
    with pytest.raises(ReportError):
        read_report(bytes(whole))
