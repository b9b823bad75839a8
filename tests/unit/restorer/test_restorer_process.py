"""The restorer as a process: confined, exact in what it takes, and never missed by an instance."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from casemate.kernel.process_files import open_process
from casemate.model.processes import RESTORER_UID
from casemate.restorer.protocol import (
    ASKED,
    DISCARDED,
    GATEWAY,
    HELD,
    HOLD,
    REQUEST,
    TOLD,
    Report,
    ReportError,
    read_report,
)
from casemate.restorer.reasons import Reason
from casemate.restorer.start import start_restorer
from support.asked_restorer import (
    NAME,
    Ready,
    Restorer,
    ask,
    hold,
    make_ready,
    report,
    told,
)
from support.restored import RestoredChild

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(os.geteuid() != 0, reason="a restorer is for root"),
]


@pytest.fixture
def restorer() -> Iterator[Restorer]:
    running = Restorer()
    yield running
    running.close()


@pytest.fixture
def child() -> Iterator[RestoredChild]:
    running = RestoredChild()
    yield running
    running.close()


def test_an_instance_is_held_and_restored(restorer: Restorer, child: RestoredChild) -> None:
    assert hold(restorer, child) == Report(HELD, 1, None, 0, 0)
    child.go()
    assert make_ready(restorer) == Ready(ready=True, pages=0)
    for _ in range(20):
        assert child.call("state['x'] = 1; result = len(state)") == 1
        found = make_ready(restorer)
        assert isinstance(found, Ready) and found.ready and 0 < found.pages < 2000
    child.call("os.umask(0)")
    found = make_ready(restorer)
    assert isinstance(found, Report)
    assert (found.kind, found.reason, found.detail) == (DISCARDED, Reason.CALL, 95)


def test_its_calls_are_let_through_and_flagged(restorer: Restorer, child: RestoredChild) -> None:
    hold(restorer, child)
    child.go()
    make_ready(restorer)
    assert child.call("result = [os.umask(0o22) for _ in range(500)][-1]") == 0o22
    assert (
        child.call("t = threading.Thread(target=time.sleep, args=(.01,)); t.start(); t.join()")
        is None
    )
    found = make_ready(restorer)
    assert isinstance(found, Report) and found.reason is Reason.CALL


def test_the_end_of_an_instance_is_told(restorer: Restorer, child: RestoredChild) -> None:
    hold(restorer, child)
    child.go()
    make_ready(restorer)
    # Here it is not the first process of a namespace, with which its twin would end.
    for pid in (*child.children(), child.pid):
        os.kill(pid, signal.SIGKILL)
    assert report(restorer) == Report(DISCARDED, 1, Reason.GONE, 0, 0)
    assert make_ready(restorer) == Ready(ready=False, pages=0)


@pytest.mark.parametrize("first", ["starter", "started"])
def test_whose_starter_was_killed_before_it_was_told_is_waited_for(
    restorer: Restorer, first: str
) -> None:
    """Nobody knows of it then; as a zombie it would keep its namespace, and the first one there."""
    child = RestoredChild(prepare=UNFILTERED)
    try:
        started = _forks_unheard(restorer, child)
        for pid in (child.pid, started) if first == "starter" else (started, child.pid):
            os.kill(pid, signal.SIGKILL)
        _wait_until(lambda: _state(child.pid) == _state(started) == "Z")
        os.kill(restorer.process.pid, signal.SIGCONT)
        assert report(restorer) == Report(DISCARDED, 1, Reason.GONE, 0, 0)
        _wait_until(lambda: _tracer(started) == 0)
    finally:
        os.kill(restorer.process.pid, signal.SIGCONT)
        child.close()


def test_one_of_whom_nobody_knows_stands_until_it_ends_for_good(restorer: Restorer) -> None:
    """It would be what has happened first for ever, whatever else does."""
    child, other = RestoredChild(prepare=UNFILTERED), RestoredChild()
    try:
        started = _forks_unheard(restorer, child)
        os.kill(child.pid, signal.SIGKILL)
        _wait_until(lambda: _state(child.pid) == "Z")
        os.kill(restorer.process.pid, signal.SIGCONT)
        assert report(restorer).reason is Reason.GONE
        hold(restorer, other, number=2)
        other.go()
        assert make_ready(restorer) == Ready(ready=True, pages=0)
        assert other.call("result = 2") == 2
        assert _state(started) == "t"
        os.kill(started, signal.SIGKILL)
        _wait_until(lambda: _tracer(started) == 0)
    finally:
        os.kill(restorer.process.pid, signal.SIGCONT)
        child.close()
        other.close()


def test_one_whose_first_stop_came_before_its_fork_was_told_goes_on(
    restorer: Restorer, child: RestoredChild
) -> None:
    hold(restorer, child)
    child.go()
    make_ready(restorer)
    forks = "p = os.fork()\nif not p: os._exit(7)\nresult = os.waitpid(p, 0)[1]"
    assert [os.waitstatus_to_exitcode(child.call(forks)) for _ in range(50)] == [7] * 50


UNFILTERED = "# NO_FILTER: a fork is told of by its own stop alone"


def _forks_unheard(restorer: Restorer, child: RestoredChild) -> int:
    """Have a child fork while its tracer is stopped; return whom."""
    hold(restorer, child, filters=1)
    child.go()
    assert make_ready(restorer) == Ready(ready=True, pages=0)
    twins = child.children()
    os.kill(restorer.process.pid, signal.SIGSTOP)
    child.send("os.fork()")
    _wait_until(lambda: len(child.children()) > len(twins))
    [started] = set(child.children()) - set(twins)
    _wait_until(lambda: _state(child.pid) == _state(started) == "t")
    return started


def _wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _tracer(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return int(text.split("TracerPid:\t", 1)[1].split("\n", 1)[0])


def test_a_call_goes_on_without_a_restorer_and_what_it_flags_fails(
    restorer: Restorer, child: RestoredChild
) -> None:
    hold(restorer, child)
    child.go()
    make_ready(restorer)
    child.send("time.sleep(0.5); result = raw('umask', 0)")
    time.sleep(0.1)
    restorer.kill()
    assert child.answer() == -38


def test_who_is_stopped_ends_with_the_restorer(restorer: Restorer, child: RestoredChild) -> None:
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
    restorer: Restorer, child: RestoredChild, delay: float
) -> None:
    hold(restorer, child)
    child.go()
    make_ready(restorer)
    child.call("state['x'] = 1; state['y'] = 'z' * 100000")
    ask(restorer)
    time.sleep(delay)
    restorer.kill()
    try:
        restored = told(restorer).ready
    except (OSError, EOFError):
        restored = False
    if restored:
        # It said so before its end: then it was.
        assert child.call("result = len(state)") == 0


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        REQUEST.pack(b"Z", 1, 0, 0, 0, 0, 0),
        REQUEST.pack(HOLD, 1, 1, 1, 0, 0, 0),
        REQUEST.pack(GATEWAY, 0, 0, 0, 0, 0, 0),
        b"y" * 40,
    ],
)
def test_another_request_ends_it(restorer: Restorer, data: bytes) -> None:
    restorer.control.send(data)
    assert restorer.control.recv(100) == b""


def test_descriptors_of_another_kind_hold_nothing(restorer: Restorer, child: RestoredChild) -> None:
    null = os.open("/dev/null", os.O_RDONLY)
    count = len(open_process(child.pid)) + 3
    socket.send_fds(
        restorer.control, [REQUEST.pack(HOLD, 1, child.pid, 2, *NAME, 0)], [null] * count
    )
    assert report(restorer).kind == DISCARDED
    os.close(null)


def test_who_was_not_held_ends_and_holds_nobody_up(
    restorer: Restorer, child: RestoredChild
) -> None:
    """It was traced before it was refused: its parent hears of its end once the tracer has."""
    null = os.open("/dev/null", os.O_RDONLY)
    count = len(open_process(child.pid)) + 3
    for number in (1, 2):
        socket.send_fds(
            restorer.control, [REQUEST.pack(HOLD, number, child.pid, 2, *NAME, 0)], [null] * count
        )
        assert report(restorer).kind == DISCARDED
    os.close(null)
    os.kill(child.pid, signal.SIGKILL)
    assert child.process.wait(5) == -signal.SIGKILL
    other = RestoredChild()
    try:
        hold(restorer, other)
        other.go()
        make_ready(restorer)
        assert other.call("result = 1 + 1") == 2
    finally:
        other.close()


def test_who_is_not_there_is_not_held(restorer: Restorer, child: RestoredChild) -> None:
    descriptors = [*open_process(child.pid), child.uffd, child.uffd, child.uffd]
    socket.send_fds(restorer.control, [REQUEST.pack(HOLD, 1, 2**22 + 9, 2, *NAME, 0)], descriptors)
    assert report(restorer).reason is Reason.GONE


def test_a_call_that_ends_is_set_back_before_it_is_asked_for(
    restorer: Restorer, child: RestoredChild
) -> None:
    hold(restorer, child)
    child.go()
    make_ready(restorer)
    child.send("state['x'] = 1; time.sleep(0.03)")
    ask(restorer)  # it is not home yet
    assert told(restorer).ready and child.answer() is None
    assert child.call("result = len(state)") == 0


def test_who_does_not_come_home_is_discarded(restorer: Restorer, child: RestoredChild) -> None:
    hold(restorer, child)
    child.go()
    make_ready(restorer)
    child.send("time.sleep(1.5)")
    assert make_ready(restorer) == Report(DISCARDED, 1, Reason.NOT_WAITING, 0, 0)
    assert child.answer() is None
    assert make_ready(restorer) == Report(DISCARDED, 1, Reason.NOT_WAITING, 0, 0)


def test_who_is_waited_for_is_broken_off_once(restorer: Restorer, child: RestoredChild) -> None:
    """Again and again it would be kept from coming home, and the processor from others."""
    hold(restorer, child)
    child.go()
    make_ready(restorer)
    before = _switches(child.pid)
    child.send("time.sleep(0.15)")
    found = make_ready(restorer)
    assert isinstance(found, Ready) and found.ready
    assert _switches(child.pid) - before < 100


def _switches(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("\nvoluntary_ctxt_switches:\t", 1)[1].split("\n", 1)[0])


def test_who_is_flagged_while_it_is_waited_for_is_discarded(
    restorer: Restorer, child: RestoredChild
) -> None:
    hold(restorer, child)
    child.go()
    make_ready(restorer)
    child.send("time.sleep(0.1); os.umask(0); time.sleep(5)")
    found = make_ready(restorer)
    assert isinstance(found, Report) and found.reason is Reason.CALL


def test_one_that_nobody_asks_for_goes_on_and_is_not_used_again(
    restorer: Restorer, child: RestoredChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that slept breaks off calls that wait: they come home without having served."""
    hold(restorer, child)
    child.go()
    make_ready(restorer)
    child.call("state['x'] = 1")
    # Nobody asked: it stands at home, and serves once it has been let go.
    assert child.call("result = len(state)") == 0
    found = make_ready(restorer)
    assert isinstance(found, Report) and found.reason is Reason.NOT_WAITING


def test_the_next_gateway_knows_none_of_the_last_one_s(
    restorer: Restorer, child: RestoredChild
) -> None:
    hold(restorer, child)
    child.go()
    make_ready(restorer)
    before, restorer.gateway = restorer.gateway, restorer.another_gateway()
    assert make_ready(restorer) == Ready(ready=False, pages=0)
    assert before.recv(1) == b""
    before.close()


def test_what_a_gateway_says_comes_in_any_parts(restorer: Restorer, child: RestoredChild) -> None:
    hold(restorer, child)
    child.go()
    make_ready(restorer)
    asked = ASKED.pack(*NAME) + 2 * ASKED.pack(9, 9)
    for at in range(0, len(asked), 5):
        restorer.gateway.sendall(asked[at : at + 5])
        time.sleep(0.01)
    found = [
        TOLD.unpack(restorer.gateway.recv(TOLD.size, socket.MSG_WAITALL))[:4] for _ in range(3)
    ]
    # It waits for a call already, and is urged home meanwhile.
    assert sorted(one[:3] for one in found) == [(*NAME, 1), (9, 9, 0), (9, 9, 0)]
    assert child.call("result = 5") == 5
    assert make_ready(restorer)


def test_what_one_gateway_asked_for_the_next_is_not_told(
    restorer: Restorer, child: RestoredChild
) -> None:
    """It numbers from the start again: the same name would be another instance's."""
    hold(restorer, child)
    child.go()
    make_ready(restorer)
    child.send("time.sleep(0.1)")
    ask(restorer)
    time.sleep(0.02)
    before, restorer.gateway = restorer.gateway, restorer.another_gateway()
    assert child.answer() is None
    restorer.gateway.settimeout(0.5)
    with pytest.raises(TimeoutError):
        restorer.gateway.recv(1)
    before.close()


@pytest.mark.parametrize("close", [True, False])
def test_a_gateway_that_goes_or_does_not_read_ends_nothing(
    restorer: Restorer, child: RestoredChild, close: bool
) -> None:
    hold(restorer, child)
    child.go()
    make_ready(restorer)
    if close:
        restorer.gateway.close()
    else:
        restorer.gateway.setblocking(False)
        with suppress(OSError):
            while True:
                restorer.gateway.send(ASKED.pack(9, 9) * 1000)
    restorer.gateway = restorer.another_gateway()
    assert hold(restorer, child, number=2).reason is Reason.GONE  # it is traced already
    assert make_ready(restorer) == Ready(ready=False, pages=0)


def test_descriptors_that_a_gateway_sends_go_nowhere(
    restorer: Restorer, child: RestoredChild
) -> None:
    folder = Path(f"/proc/{restorer.process.pid}/fd")
    before = len(list(folder.iterdir()))
    socket.send_fds(restorer.gateway, [ASKED.pack(9, 9)], [0, 1, 2])
    assert told(restorer, (9, 9)) == Ready(ready=False, pages=0)
    assert len(list(folder.iterdir())) == before


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
        read_report(Report(HELD, 1, Reason.CALL, 0, 0).packed())
    with pytest.raises(ReportError):
        read_report(Report(DISCARDED, 1, None, 0, 0).packed())
    whole = bytearray(Report(DISCARDED, 1, Reason.CALL, 0, 0).packed())
    whole[5] = 99
    with pytest.raises(ReportError):
        read_report(bytes(whole))
