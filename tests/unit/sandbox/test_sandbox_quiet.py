"""What is on the way to or from an instance is seen, in each direction."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from casemate.sandbox.quiet import has_read_all, is_quiet


@dataclass
class Ends:
    ours: socket.socket
    theirs: socket.socket
    reading: int
    writing: int

    @property
    def quiet(self) -> bool:
        return is_quiet(self.ours.fileno(), self.reading)


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    reading, writing = os.pipe()
    with ours, theirs:
        yield Ends(ours, theirs, reading, writing)
    os.close(reading)
    os.close(writing)


def test_nothing_on_the_way_is_quiet(ends: Ends) -> None:
    assert ends.quiet
    ends.ours.send(b"event")
    assert ends.theirs.recv(10) == b"event"
    ends.theirs.send(b"answer")
    assert ends.ours.recv(10) == b"answer"
    assert ends.quiet


def test_what_it_has_not_read_is_seen(ends: Ends) -> None:
    ends.ours.send(b"event")
    assert ends.theirs.recv(1) == b"e"
    assert not ends.quiet


def test_what_it_has_written_is_seen(ends: Ends) -> None:
    ends.theirs.send(b"x")
    assert not ends.quiet


def test_what_is_in_the_pipe_is_seen(ends: Ends) -> None:
    os.write(ends.writing, b"x")
    assert not ends.quiet


def test_a_byte_out_of_band_is_seen(ends: Ends) -> None:
    try:
        ends.theirs.send(b"x", socket.MSG_OOB)
    except OSError:
        pytest.skip("this kernel has none on such sockets")
    assert not ends.quiet


def test_what_is_closed_is_not_quiet(ends: Ends) -> None:
    assert not is_quiet(-1, ends.reading)
    assert not is_quiet(ends.ours.fileno(), -1)


def test_who_has_read_all_is_told_from_who_has_not(ends: Ends) -> None:
    assert has_read_all(ends.ours.fileno())
    ends.theirs.send(b"x")  # the other direction does not matter
    assert has_read_all(ends.ours.fileno())
    ends.ours.send(b"x")
    assert not has_read_all(ends.ours.fileno())
    ends.theirs.recv(1)
    assert has_read_all(ends.ours.fileno())
    assert not has_read_all(-1)
