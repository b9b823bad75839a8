"""What a gateway asks for and is told: whole records, those of one turn in one message."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from casemate.restorer import asking
from casemate.restorer.asking import Gateway
from casemate.restorer.protocol import ASKED, TOLD


@pytest.fixture
def ends() -> Iterator[tuple[Gateway, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours:
        ours.setblocking(False)
        gateway = Gateway(theirs.detach())
        yield gateway, ours
        gateway.close()


def test_what_is_told_together_is_one_message(
    ends: tuple[Gateway, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_TOGETHER_SECONDS", 60.0)
    gateway, other = ends
    for number in range(3):
        gateway.tell((1, number), ready=True, pages=2, cpu_us=3)
        gateway.send_overdue()
    with pytest.raises(BlockingIOError):
        other.recv(1000)
    gateway.send()
    told = list(TOLD.iter_unpack(other.recv(1000)))
    assert told == [(1, number, True, 2, 3) for number in range(3)]
    gateway.send()
    with pytest.raises(BlockingIOError):
        other.recv(1000)


def test_the_first_that_is_told_does_not_wait_long_for_others(
    ends: tuple[Gateway, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_TOGETHER_SECONDS", 0.0)
    gateway, other = ends
    gateway.tell((1, 2), ready=True)
    gateway.send_overdue()
    assert len(other.recv(1000)) == TOLD.size


def test_a_gateway_that_does_not_read_is_gone(ends: tuple[Gateway, socket.socket]) -> None:
    gateway, _other = ends
    for number in range(100_000):
        gateway.tell((1, number), ready=False)
        gateway.send()
        if gateway.gone:
            break
    assert gateway.gone
    gateway.tell((1, 1), ready=True)
    gateway.send()


def test_records_that_come_in_parts_are_put_together(ends: tuple[Gateway, socket.socket]) -> None:
    gateway, other = ends
    sent = ASKED.pack(1, 2) + ASKED.pack(1, 3)
    other.sendall(sent[:11])
    assert gateway.asked() == [(1, 2)]
    assert gateway.asked() == []
    other.sendall(sent[11:])
    assert gateway.asked() == [(1, 3)]
    other.shutdown(socket.SHUT_RDWR)
    assert gateway.asked() == [] and gateway.gone
