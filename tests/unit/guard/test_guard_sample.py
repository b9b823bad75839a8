"""What the guard's hooks take is counted once, in a call that is sampled, and of nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from casemate.guard.hooks import wrap
from casemate.guard.sample import SAMPLE

BUSY_NS = 2_000_000


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    yield
    SAMPLE.end()


def burn() -> None:
    until = time.thread_time_ns() + BUSY_NS
    while time.thread_time_ns() < until:
        pass


def watched(before: Any) -> SimpleNamespace:
    library = SimpleNamespace(run=lambda *_: burn())
    wrap(library, "run", before)
    return library


def test_hooks_are_counted_and_what_they_watch_is_not() -> None:
    library = watched(lambda _a, _n: burn())
    SAMPLE.begin()
    library.run()
    library.run()
    took = SAMPLE.end()
    assert 2 * BUSY_NS / 1000 <= took < 3.5 * BUSY_NS / 1000


def test_a_hook_within_another_is_counted_once() -> None:
    inner = watched(lambda _a, _n: burn())
    outer = watched(lambda _a, _n: inner.run())
    SAMPLE.begin()
    outer.run()
    assert 2 * BUSY_NS / 1000 <= SAMPLE.end() < 2.9 * BUSY_NS / 1000


def test_a_hook_that_stops_the_call_is_counted_as_well() -> None:
    def stop(_a: Any, _n: Any) -> None:
        burn()
        raise ValueError("stopped")

    library = watched(stop)
    SAMPLE.begin()
    for _ in range(2):
        with pytest.raises(ValueError, match="stopped"):
            library.run()
    assert SAMPLE.end() >= 2 * BUSY_NS / 1000


def test_nothing_is_counted_where_nothing_is_sampled() -> None:
    library = watched(lambda _a, _n: burn())
    SAMPLE.begin()
    SAMPLE.end()
    library.run()
    assert SAMPLE.end() == 0
    SAMPLE.begin()
    assert SAMPLE.end() == 0
