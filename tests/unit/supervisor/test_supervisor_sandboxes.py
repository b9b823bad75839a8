"""The supervisor's loop: what it is to call once for a descriptor, and what ends it."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from casemate.model.errors import UnavailableError
from casemate.runner import control
from casemate.sandbox import protocol
from casemate.supervisor.sandboxes import Sandboxes


class Loop:
    """A supervisor without sandboxes, and the gateway's end of its socket."""

    def __init__(self) -> None:
        self.reports: list[str] = []
        self.supervisor = Sandboxes(
            runtimes={},
            staging=SimpleNamespace(),  # type: ignore[arg-type]
            cgroups=None,
            landlock=True,
            identities=None,
            shared_files=False,
            report=self.reports.append,
        )
        self.ours, self.gateway = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.opened: list[int] = []

    def signal(self, count: int = 0) -> int:
        """Return a descriptor that is readable if `count` is not 0."""
        descriptor = os.eventfd(count)
        self.opened.append(descriptor)
        return descriptor

    def run(self, once: dict[int, Callable[[], None]] | None = None) -> None:
        self.supervisor.run(self.ours, once)

    def registered(self) -> set[int]:
        selector: selectors.BaseSelector = self.supervisor._selector
        return {key.fd for key in selector.get_map().values()}

    def leave(self) -> None:
        """End the loop: the gateway goes away."""
        self.gateway.close()

    def close(self) -> None:
        for sock in (self.ours, self.gateway):
            sock.close()
        for descriptor in self.opened:
            os.close(descriptor)
        self.supervisor._selector.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


def later(call: Callable[[], None], seconds: float = 0.05) -> None:
    threading.Timer(seconds, call).start()


def test_what_is_readable_is_called_once_though_it_stays_readable(loop: Loop) -> None:
    calls: list[str] = []
    later(loop.leave)
    loop.run({loop.signal(1): lambda: calls.append("called")})
    assert calls == ["called"]
    assert loop.registered() == set()


def test_what_is_not_readable_is_not_called_and_forgotten_at_the_end(loop: Loop) -> None:
    calls: list[str] = []
    later(loop.leave)
    loop.run({loop.signal(0): lambda: calls.append("called")})
    assert calls == [] and loop.registered() == set()


def test_what_becomes_readable_later_is_called_then(loop: Loop) -> None:
    descriptor = loop.signal(0)
    later(lambda: os.eventfd_write(descriptor, 1))
    loop.run({descriptor: loop.leave})  # returns, because it was called


def test_each_has_its_own_call(loop: Loop) -> None:
    calls: list[int] = []
    once = {loop.signal(number % 2): lambda n=number: calls.append(n) for number in range(6)}
    later(loop.leave)
    loop.run(once)  # type: ignore[arg-type]
    assert sorted(calls) == [1, 3, 5]
    assert loop.registered() == set()


def test_the_next_gateway_starts_with_what_it_is_given(loop: Loop) -> None:
    calls: list[str] = []
    descriptor = loop.signal(1)
    later(loop.leave)
    loop.run({descriptor: lambda: calls.append("first")})
    for name in ("second", "third"):
        loop.ours.close()
        loop.ours, loop.gateway = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        later(loop.leave)
        loop.run({descriptor: lambda name=name: calls.append(name)})  # type: ignore[misc]
    assert calls == ["first", "second", "third"]
    loop.ours.close()
    loop.ours, loop.gateway = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    later(loop.leave)
    loop.run()
    assert len(calls) == 3


def test_a_descriptor_may_be_closed_by_its_call(loop: Loop) -> None:
    """As it is when the process behind it has ended."""
    reading, writing = os.pipe()
    os.close(writing)
    later(loop.leave)
    loop.run({reading: lambda: os.close(reading)})
    assert loop.registered() == set()


def test_a_call_that_fails_is_reported_and_the_sandboxes_live_on(loop: Loop) -> None:
    def fail() -> None:
        raise OSError(11, "no process can be made")

    calls: list[str] = []
    later(loop.leave)
    loop.run({loop.signal(1): fail, loop.signal(1): lambda: calls.append("other")})
    assert calls == ["other"]
    [report] = loop.reports
    assert "no process can be made" in report


def test_a_call_that_fails_in_our_own_words_does_not_end_the_node(loop: Loop) -> None:
    def fail() -> None:
        raise UnavailableError("the proxy did not answer")

    later(loop.leave)
    loop.run({loop.signal(1): fail})
    assert len(loop.reports) == 1


def test_a_call_that_fails_is_made_again_when_it_is_asked_for_again(loop: Loop) -> None:
    """What a host is short of for a moment does not leave a node without a process for good."""
    ready, calls = loop.signal(1), []

    def start() -> bool:
        calls.append("called")
        os.eventfd_read(ready)
        if len(calls) == 1:
            later(lambda: os.eventfd_write(ready, 1))
            raise OSError(11, "no process can be made")
        return True

    later(loop.leave, 0.8)
    loop.run({ready: start})  # type: ignore[dict-item]
    assert calls == ["called", "called"] and loop.registered() == set()
    assert len(loop.reports) == 1


@pytest.mark.parametrize(
    "packet", [b"{}", b"x", b'{"type":"open"}', b'{"type":"spawn","z":1,"i":1}', b"\xff"]
)
def test_a_gateway_that_breaks_the_protocol_ends_with_all_its_calls(
    loop: Loop, packet: bytes
) -> None:
    calls: list[Any] = []
    loop.gateway.send(packet)
    loop.run({loop.signal(0): lambda: calls.append(1)})
    assert calls == [] and loop.registered() == set()
    [report] = loop.reports
    assert "broke the protocol" in report


class EndedZygote:
    """A zygote that is gone; of its slots 0 and 3 have overflowed, and 1 cannot be read."""

    def __init__(self) -> None:
        self.name = "z1"
        self.assigned = SimpleNamespace(project="t", function="f")
        self.prepared = None
        self.waits = False
        self.owner = "t/f"
        self.instances = {10: 0, 11: 1, 12: 2, 13: 3}
        self.killed = {13}
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.close()

    def read_event(self) -> None:
        return None

    def cpu_since_fork(self, slot: int) -> int:
        if slot == 1:
            raise FileNotFoundError
        return 100 + slot

    def memory_peak(self, slot: int) -> int:
        return 7 * slot

    def ran_out_of_memory(self, slot: int) -> bool:
        if slot == 1:
            raise FileNotFoundError
        return slot in (0, 3)


def test_an_instance_whose_memory_took_the_zygote_along_is_out_of_memory(loop: Loop) -> None:
    zygote: Any = EndedZygote()
    loop.supervisor._zygotes.know(5, zygote)
    loop.supervisor._zygotes.read(zygote)
    told = loop.supervisor._outbox.events()
    assert told == [
        protocol.Exited(5, 10, signal.SIGKILL, out_of_memory=True),
        protocol.Used(5, 10, 100, 0),
        protocol.Used(5, 11, None, 7),
        protocol.Used(5, 12, 102, 14),
        protocol.Used(5, 13, 103, 21),
        protocol.ZygoteEnded(5, "the zygote is gone", protocol.Fault.FUNCTION),
    ]


def test_a_zygote_is_killed_before_the_gateway_hears_of_its_end(loop: Loop) -> None:
    """Which closes the listener of its filter then."""
    zygote: Any = EndedZygote()
    zygote.instances = {}
    zygote.sock = socket.socket(socket.AF_UNIX)
    told_before: list[int] = []
    zygote.end = lambda: (told_before.append(len(loop.supervisor._outbox)), zygote.sock.close())
    loop.supervisor._selector.register(zygote.sock, selectors.EVENT_READ, zygote)
    loop.supervisor._zygotes.know(5, zygote)
    loop.supervisor._zygotes.end(zygote, "closed", expected=True)
    assert told_before == [0]
    assert len(loop.supervisor._outbox) == 1


def test_a_zygote_that_is_closed_is_not_searched_for_what_overflowed(loop: Loop) -> None:
    zygote: Any = EndedZygote()
    loop.supervisor._zygotes.know(5, zygote)
    loop.supervisor._zygotes.end(zygote, "closed", expected=True)
    told = loop.supervisor._outbox.events()
    assert [one for one in told if not isinstance(one, protocol.Used)] == [
        protocol.ZygoteEnded(5, "closed")
    ]
    assert told[-1] == protocol.ZygoteEnded(5, "closed")


def ended_by(loop: Loop, *records: Any, **more: Any) -> protocol.Event:
    """Return what is told of a zygote that sends these records while it imports."""
    zygote: Any = EndedZygote()
    zygote.instances, zygote.ready, zygote.filtered = {}, False, True
    vars(zygote).update(more)
    waiting = list(records)
    zygote.read_event = lambda: waiting.pop(0)
    loop.supervisor._zygotes.know(5, zygote)
    loop.supervisor._zygotes.read(zygote)
    [event] = loop.supervisor._outbox.events()
    return event


def test_an_import_that_fails_is_the_function_s_doing(loop: Loop) -> None:
    event = ended_by(loop, (control.IMPORT_FAILED, 0, 0))
    assert isinstance(event, protocol.ZygoteEnded)
    assert event.fault is protocol.Fault.FUNCTION


def test_so_is_what_it_shares(loop: Loop) -> None:
    event = ended_by(loop, (control.IMPORTED, 0, 0), shared_at_import=lambda: "a pipe")
    assert isinstance(event, protocol.ZygoteEnded)
    assert event.fault is protocol.Fault.FUNCTION
    assert "a pipe" in event.reason


def test_a_zygote_that_breaks_the_protocol_is_not(loop: Loop) -> None:
    event = ended_by(loop, (control.EXITED, 7, 0))
    assert isinstance(event, protocol.ZygoteEnded)
    assert event.fault is protocol.Fault.NODE


def test_what_cannot_be_examined_is_not_either(loop: Loop) -> None:
    def unreadable() -> str:
        raise OSError("no memory of the import can be read")

    event = ended_by(loop, (control.IMPORTED, 0, 0), shared_at_import=unreadable)
    assert event == protocol.ZygoteEnded(5, "no memory of the import can be read")
    assert protocol.ZygoteEnded(5, "").fault is protocol.Fault.NODE


def test_a_fault_that_is_none_is_not_read() -> None:
    packet = b'{"type":"zygote-ended","z":1,"reason":"","fault":"%s"}'
    for known in protocol.Fault:
        text = packet % known.value.encode()
        assert msgspec.json.decode(text, type=protocol.Event).fault is known
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(packet % b"nobody", type=protocol.Event)


def test_a_base_zygote_that_did_not_start_is_dropped(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What failed has closed its socket; that must not end the node, which tries again."""
    ours, theirs = socket.socketpair()
    ours.close()
    theirs.close()
    closed: list[bool] = []
    layout: Any = SimpleNamespace(
        base=SimpleNamespace(sock=ours),
        waiting=[],
        blanks=deque(),
        close=lambda: closed.append(True),
    )
    monkeypatch.setattr(loop.supervisor._bases._layouts, "drop", lambda _layout: None)
    loop.supervisor._bases.drop(layout, "it did not start")
    assert closed == [True]
