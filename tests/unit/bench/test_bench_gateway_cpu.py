"""The measurement of the gateway's processor time: whose, and how it is told."""

from __future__ import annotations

import os
import threading
import time

from bench.gateway_cpu import processor_seconds, text


def spend(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_the_first_thread_is_told_from_the_others() -> None:
    before = processor_seconds(os.getpid())
    done, leave = threading.Event(), threading.Event()

    def work() -> None:
        spend(0.1)
        done.set()
        leave.wait()

    thread = threading.Thread(target=work)
    thread.start()
    done.wait()
    after = processor_seconds(os.getpid())
    leave.set()
    thread.join()
    assert after[False] - before[False] >= 0.08


def test_the_figures_are_told_with_the_target() -> None:
    figures = {"us": 40.0, "loop_us": 35.0, "threads_us": 5.0, "per_second": 5000.0}
    told = text({"now": {"1": figures, "16": figures}, "ratio": {"16": 0.5}})
    assert "40.0 us of the gateway by call (35.0 its loop, 5.0 its threads), 5000/s" in told
    assert "events sent and run:  40.0 us" in text({"now": {"16": figures, "0": figures}})
    assert "0.50" in told and told.endswith("met")
    assert text({"now": {"16": figures | {"us": 60.0}}}).endswith("MISSED")
