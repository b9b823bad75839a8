"""Deadlines: met in their order by one timer, not at all once dropped."""

from __future__ import annotations

import asyncio
import random

import pytest
from dispatch_sandbox import VirtualLoop, run

from casemate.dispatch import Deadlines


def test_each_is_met_at_its_time_and_once() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        deadlines, met = Deadlines(), {}
        chance = random.Random(7)
        times = {key: loop.time() + chance.uniform(0.0, 60.0) for key in range(500)}
        for key, at in times.items():
            deadlines.put(key, at, lambda key=key: met.setdefault(key, loop.time()))
        await asyncio.sleep(61)
        assert met.keys() == times.keys()
        assert all(0 <= met[key] - times[key] < 0.003 for key in times)
        assert len(deadlines) == 0

    run(scenario)


def test_what_was_dropped_or_put_anew_is_not_met() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        deadlines, met = Deadlines(), []
        now = loop.time()
        deadlines.put("a", now + 1, lambda: met.append("a"))
        deadlines.put("b", now + 1, lambda: met.append("b"))
        deadlines.put("b", now + 5, lambda: met.append("b later"))
        deadlines.drop("a")
        deadlines.drop("nobody")
        await asyncio.sleep(2)
        assert met == []
        await asyncio.sleep(4)
        assert met == ["b later"]

    run(scenario)


def test_an_earlier_one_moves_the_timer() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        deadlines, met = Deadlines(), []
        now = loop.time()
        deadlines.put("late", now + 900, lambda: met.append("late"))
        deadlines.put("soon", now + 1, lambda: met.append("soon"))
        await asyncio.sleep(1.01)
        assert met == ["soon"]

    run(scenario)


def test_one_that_is_met_may_drop_and_put_others() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        deadlines, met = Deadlines(), []
        now = loop.time()

        def first() -> None:
            met.append("first")
            deadlines.drop("second")
            deadlines.put("third", now + 2, lambda: met.append("third"))

        deadlines.put("first", now + 1, first)
        deadlines.put("second", now + 1, lambda: met.append("second"))
        await asyncio.sleep(3)
        assert met == ["first", "third"]

    run(scenario)


def test_one_timer_serves_all_and_the_calls_that_meet_none_make_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(loop: VirtualLoop) -> None:
        made = []
        call_at = loop.call_at
        monkeypatch.setattr(
            loop, "call_at", lambda at, *rest: made.append(at) or call_at(at, *rest)
        )
        deadlines = Deadlines()
        for key in range(1000):
            deadlines.put(key, loop.time() + 30, lambda: None)
            deadlines.drop(key)
        assert len(made) == 1
        deadlines.put("last", loop.time() + 30, lambda: None)
        deadlines.clear()
        assert len(deadlines) == 0
        await asyncio.sleep(0)

    run(scenario)
