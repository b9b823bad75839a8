"""What is said to a gateway comes in order, descriptors with it, and none of them stays open."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import msgspec
import pytest

from casemate.sandbox import protocol
from casemate.supervisor import outbox as outbox_module
from casemate.supervisor.outbox import Outbox
from support.descriptors import descriptors_held, require_none_left


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        yield ours, theirs


def opened() -> int:
    return os.open("/dev/null", os.O_RDONLY)


def test_a_descriptor_goes_with_its_event(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    outbox = Outbox()
    before = descriptors_held()
    outbox.tell(protocol.Restorer(0, ""), opened())  # before there is a gateway
    outbox.open(ours)
    outbox.tell(protocol.Opened(5))
    for expected, count in ((protocol.Restorer(0, ""), 1), (protocol.Opened(5), 0)):
        data, descriptors, _, _ = socket.recv_fds(theirs, 999, 4)
        assert msgspec.json.decode(data, type=protocol.Event) == expected
        assert len(descriptors) == count
        for descriptor in descriptors:
            os.close(descriptor)
    require_none_left(before)


@pytest.mark.parametrize("gone", [True, False])
def test_what_cannot_be_said_keeps_nothing_open(
    ends: tuple[socket.socket, socket.socket], gone: bool
) -> None:
    ours, theirs = ends
    outbox = Outbox()
    before = descriptors_held()
    outbox.tell(protocol.Restorer(0, ""), opened())
    if gone:
        theirs.close()
        before -= 1
        outbox.open(ours)
        outbox.flush()
    else:
        outbox.close()
    assert len(outbox) == 0
    require_none_left(before)


def test_a_gateway_that_reads_nothing_is_let_go(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was broken into asks without an end, and what it is told fills no memory."""
    monkeypatch.setattr(outbox_module, "MOST_WAITING", 50)
    ours, theirs = ends
    outbox = Outbox()
    outbox.open(ours)
    before = descriptors_held()
    for number in range(5000):
        outbox.tell(protocol.Opened(number))
        if number % 100 == 0:
            outbox.tell(protocol.Restorer(0, ""), opened())
        assert len(outbox) <= 50
    assert ours.recv(10) == b"", "the loop ends with it"
    while data := theirs.recv(999):
        assert data
    outbox.close()
    require_none_left(before)
