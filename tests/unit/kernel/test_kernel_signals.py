"""Signals come by a descriptor, calls are prepared: what a loop does without end costs little."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from casemate.kernel import linux


@pytest.fixture
def blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.usefixtures("blocked")
def test_a_signal_is_read_and_runs_nothing() -> None:
    descriptor = linux.signal_descriptor(signal.SIGUSR2)  # would end this process
    try:
        with pytest.raises(BlockingIOError):
            os.read(descriptor, 4096)
        for _ in range(3):
            signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)  # there may be others
        assert os.read(descriptor, 4096)[0] == signal.SIGUSR2
        with pytest.raises(BlockingIOError):
            os.read(descriptor, 4096)
        assert not os.get_inheritable(descriptor)
    finally:
        os.close(descriptor)


def test_a_prepared_call_is_the_call() -> None:
    assert linux.prepared("getppid")() == os.getppid()
    close = linux.prepared("close", ctypes.c_long)
    assert close(-1) == -1 and ctypes.get_errno() == 9
    assert linux.prepared("close", ctypes.c_long) is close
    with pytest.raises(ctypes.ArgumentError):
        close("x")
    # What others call by its name takes what it ever took.
    assert linux.call("getppid") == os.getppid()
