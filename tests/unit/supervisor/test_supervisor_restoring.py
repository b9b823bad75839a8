"""Who is passed to the restorer, and what happens to all others: they are forks as ever."""

from __future__ import annotations

import gc
import os
import selectors
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from casemate.restorer.protocol import (
    DISCARDED,
    GATEWAY,
    HELD,
    HOLD,
    REQUEST,
    Report,
)
from casemate.restorer.reasons import Reason
from casemate.runner import restorable
from casemate.sandbox import protocol
from casemate.supervisor import restoring as module
from casemate.supervisor.outbox import Outbox
from casemate.supervisor.restoring import Restoring
from support.descriptors import descriptors_held, require_none_left


class Node:
    """A supervisor's end of a restorer that does what the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ours, self.restorer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.restorer.settimeout(10)
        self.killed: list[tuple[int, int]] = []
        self.ended = 0
        self.child = SimpleNamespace(
            control=ours, receive_ready=lambda: None, kill=self._end, close=ours.close, pulse=None
        )
        monkeypatch.setattr(module, "start_restorer", lambda: self.child)
        monkeypatch.setattr(module, "_filters_of", lambda pid: 1)
        self.selector = selectors.DefaultSelector()
        self.outbox = Outbox()
        gateway, self.gateway = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        gateway.setblocking(False)
        self.outbox.open(gateway)
        self.gateway.settimeout(0.05)  # what is told is sent before anybody asks
        self.restoring = Restoring(
            selector=self.selector,
            outbox=self.outbox,
            kill=self.killed.append,
            report=lambda text: None,
        )
        self.restoring.tick(100.0)
        self.restoring.read()
        self.ways: list[socket.socket] = []
        """That the gateway was given to the restorer."""
        self.members = [os.getpid()]
        self.zygote: Any = SimpleNamespace(
            pid=1,
            instances={7: 0},
            cgroups=SimpleNamespace(members=lambda name: self.members),
            slot_name=lambda slot: "z1/s0",
            note_fork=lambda slot: 4321,
            open_cpu=lambda slot: os.open("/dev/null", os.O_RDONLY),
        )

    def _end(self) -> None:
        self.ended += 1

    def told(self) -> list[Any]:
        import msgspec

        found = []
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(self.gateway, 9999, 4)
            except TimeoutError:
                return found
            self.ways += [socket.socket(fileno=one) for one in descriptors]
            found.append(msgspec.json.decode(data, type=protocol.Event))

    def way(self) -> socket.socket:
        """Return the restorer's end of the way that it was given last."""
        data, [descriptor], _, _ = socket.recv_fds(self.restorer, 100, 4)
        assert REQUEST.unpack(data) == (GATEWAY, 0, 0, 0, 0, 0, 0)
        return socket.socket(fileno=descriptor)

    def offer(self) -> socket.socket:
        tmp = os.open("/tmp", os.O_PATH)
        hold = self.restoring.offer(self.zygote, (3, 7), tmp)
        os.close(tmp)
        assert hold is not None
        sock = socket.socket(fileno=hold)
        sock.settimeout(5)
        return sock

    def send(self, instance: socket.socket, count: int = 1) -> None:
        null = os.open("/dev/null", os.O_RDONLY)
        socket.send_fds(instance, [restorable.WATCH], [null] * count)
        os.close(null)
        self.restoring.take(1)

    def report(self, *fields: Any) -> None:
        self.restorer.send(Report(*fields).packed())
        self.restoring.read()


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    running = Node(monkeypatch)
    assert running.told()[-1] == protocol.Restorer(0, "")
    running.way().close()
    yield running
    running.restoring.close()
    for way in running.ways:
        way.close()


def hold(node: Node) -> socket.socket:
    instance = node.offer()
    node.send(instance)
    data, descriptors, _, _ = socket.recv_fds(node.restorer, 100, 64)
    assert REQUEST.unpack(data) == (HOLD, 1, os.getpid(), 3, 3, 7, 4321)
    for descriptor in descriptors:
        os.close(descriptor)
    node.report(HELD, 1, None, 0, 0)
    assert instance.recv(1) == restorable.HELD
    return instance


def test_one_that_is_alone_in_its_slot_is_held(node: Node) -> None:
    hold(node)
    assert node.told() == [] and node.killed == []


def test_each_gateway_is_given_a_way_of_its_own(node: Node) -> None:
    node.restoring.tell()
    assert node.told() == [protocol.Restorer(0, "")]
    theirs, ours = node.way(), node.ways[-1]
    ours.sendall(b"x")
    assert theirs.recv(9) == b"x" and not os.get_blocking(theirs.fileno())
    theirs.close()
    assert ours.recv(9) == b""


def test_one_that_is_discarded_is_told_and_killed(node: Node) -> None:
    hold(node)
    node.report(DISCARDED, 1, Reason.TMP, 0, 0)
    [told] = node.told()
    assert (told.z, told.i) == (3, 7) and "/tmp" in told.reason
    assert node.killed == [(3, 7)]


@pytest.mark.parametrize("members", [[], [1], [1, 2**22 + 1]])
def test_who_is_not_in_the_slot_is_refused(node: Node, members: list[int]) -> None:
    node.members = members
    instance = node.offer()
    node.send(instance)
    assert instance.recv(1) == b"n"


def test_who_is_not_alone_there_is_refused(node: Node) -> None:
    node.members = [os.getpid(), os.getppid()]
    instance = node.offer()
    node.send(instance)
    assert instance.recv(1) == b"n"


@pytest.mark.parametrize("count", [0, 2, 5])
def test_another_number_of_descriptors_is_refused(node: Node, count: int) -> None:
    gc.collect()  # what other tests have left is closed now
    before = descriptors_held()
    instance = node.offer()
    if count:
        node.send(instance, count)
    else:
        instance.send(b"w")
        node.restoring.take(1)
    assert instance.recv(1) == b"n"
    instance.close()
    require_none_left(before)


def test_who_closes_without_a_word_is_refused(node: Node) -> None:
    gc.collect()  # what other tests have left is closed now
    before = descriptors_held()
    node.offer().close()
    node.restoring.take(1)
    require_none_left(before)


def test_who_says_nothing_is_let_go(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = node.offer()
    monkeypatch.setattr(module, "_OFFER_SECONDS", -1.0)
    import time

    node.restoring.tick(time.monotonic())
    assert instance.recv(1) == b"n"


def test_one_that_has_ended_is_not_killed(node: Node) -> None:
    """Its zygote says how it ended, and whether for want of memory."""
    hold(node)
    node.report(DISCARDED, 1, Reason.GONE, 0, 0)
    assert isinstance(node.told()[0], protocol.NotReady) and node.killed == []


def test_a_refusal_of_the_restorer_is_passed_on(node: Node) -> None:
    instance = node.offer()
    node.send(instance)
    node.report(DISCARDED, 1, Reason.GONE, 0, 0)
    assert instance.recv(1) == b"n" and node.killed == []


def test_a_lost_restorer_ends_the_use_of_all(node: Node) -> None:
    hold(node)
    waiting = node.offer()
    node.restorer.close()
    node.restoring.read()
    told = node.told()
    assert told[0].problem and told[1] == protocol.NotReady(3, 7, "the restorer ended")
    assert waiting.recv(1) == b"n"
    assert node.restoring.offer(node.zygote, (3, 8), 0) is None
    assert node.ended == 1


@pytest.mark.parametrize("data", [b"x", b"y" * 14, Report(b"q", 1, None, 0, 0).packed()])
def test_a_restorer_that_says_something_else_is_ended(node: Node, data: bytes) -> None:
    hold(node)
    node.restorer.send(data)
    node.restoring.read()
    assert node.ended == 1
    assert any(isinstance(event, protocol.NotReady) for event in node.told())


def test_the_next_gateway_hears_nothing_of_the_last_one_s(node: Node) -> None:
    hold(node)
    waiting = node.offer()
    node.restoring.forget()
    assert waiting.recv(1) == b"n"
    node.report(DISCARDED, 1, Reason.CALL, 0, 0)
    assert node.told() == [] and node.killed == []


def test_reports_of_nobody_change_nothing(node: Node) -> None:
    for kind, reason in ((HELD, None), (DISCARDED, Reason.CALL)):
        node.report(kind, 99, reason, 0, 0)
    assert node.told() == [] and node.killed == []
