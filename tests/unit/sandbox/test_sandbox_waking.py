"""What waking those who wait at the other end of a socket takes: counted, and bounded."""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from casemate.sandbox import waking
from casemate.sandbox.waking import (
    BURST_SECONDS,
    MEASURED_SECONDS,
    SHARE,
    USUAL_SECONDS,
    Waking,
)

WAITING, DUPLICATES = 300, 300


@pytest.fixture
def crowded() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A pair of which the second one's end is waited at 90,000 times."""
    with ExitStack() as stack:
        ours, theirs = (stack.enter_context(one) for one in socket.socketpair())
        ours.setblocking(False)
        theirs.setblocking(False)
        duplicates = [os.dup(theirs.fileno()) for _ in range(DUPLICATES)]
        for descriptor in duplicates:
            stack.callback(os.close, descriptor)
        for _ in range(WAITING):
            epoll = stack.enter_context(select.epoll())
            for descriptor in duplicates:
                epoll.register(descriptor, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
        yield ours, theirs


def test_a_crowd_at_the_other_end_is_found(crowded: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = crowded
    told: list[str] = []
    counted = Waking(lambda: told.append("too much"))
    for _ in range(100):
        begun = counted.begin()
        ours.send(b"x")
        counted.end(begun)
        theirs.recv(1)
    assert counted.is_excessive
    assert told == ["too much"], "once"


def test_large_messages_are_none() -> None:
    counted = Waking(lambda: None)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        for _ in range(200):
            begun = counted.begin()
            with contextlib.suppress(BlockingIOError):
                ours.send(bytes(1 << 20))
            counted.end(begun)
            theirs.recv(1 << 20)
    assert not counted.is_excessive


class Clock:
    """Time that a test makes pass: for all, or for others than this thread alone."""

    def __init__(self) -> None:
        self.now = self.used = 0.0

    def monotonic(self) -> float:
        return self.now

    perf_counter = monotonic

    def thread_time(self) -> float:
        return self.used

    def message(self, counted: Waking, took: float, waited: float = 0.0) -> None:
        begun = counted.begin()
        self.now += took + waited
        self.used += took
        counted.end(begun)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(waking, "time", clock)
    return clock


def test_who_waits_for_a_processor_has_not_used_it(clock: Clock) -> None:
    counted = Waking(lambda: None)
    for _ in range(1000):
        clock.message(counted, took=USUAL_SECONDS / 2, waited=1.0)
    assert not counted.is_excessive


def test_a_little_now_and_then_is_forgiven(clock: Clock) -> None:
    counted = Waking(lambda: None)
    for _ in range(1000):
        clock.message(counted, took=2 * USUAL_SECONDS)
        clock.now += 2 * USUAL_SECONDS / SHARE
    assert not counted.is_excessive


def test_the_same_at_once_is_not(clock: Clock) -> None:
    counted = Waking(lambda: None)
    messages = 0
    while not counted.is_excessive:
        clock.message(counted, took=2 * USUAL_SECONDS)
        messages += 1
    assert messages <= 2 + 1.1 * BURST_SECONDS / USUAL_SECONDS


def test_one_that_seems_long_is_not_counted(clock: Clock) -> None:
    """It may have waited; what it leads to is that the next one is measured."""
    counted = Waking(lambda: None)
    clock.message(counted, took=10 * BURST_SECONDS)
    assert not counted.is_excessive
    clock.message(counted, took=10 * BURST_SECONDS)
    assert counted.is_excessive


def test_messages_that_take_little_in_between_hide_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits has its output read between two messages that take long."""
    now = [100.0]
    for clock in ("monotonic", "perf_counter", "thread_time"):
        monkeypatch.setattr(waking.time, clock, lambda: now[0])
    told: list[str] = []
    counted = Waking(lambda: told.append("too much"))

    def message(seconds: float) -> None:
        begun = counted.begin()
        now[0] += seconds
        counted.end(begun)

    for _ in range(20):
        message(4 * USUAL_SECONDS)
        message(USUAL_SECONDS / 10)
    assert told == ["too much"]


def test_what_took_long_once_is_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    for clock in ("monotonic", "perf_counter", "thread_time"):
        monkeypatch.setattr(waking.time, clock, lambda: now[0])
    told: list[str] = []
    counted = Waking(lambda: told.append("too much"))
    for _ in range(200):
        for took in (4 * USUAL_SECONDS, 0.0):
            begun = counted.begin()
            now[0] += took
            counted.end(begun)
            now[0] += MEASURED_SECONDS
    assert told == []
