"""The node's numbers are told to the monitor when it wants them, over its absence and faults."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from casemate.gateway import numbers_told
from casemate.gateway.numbers_told import NumbersTold
from casemate.metrics.families import Families, Family
from casemate.monitor.errors import MonitorUnavailableError
from casemate.monitor.protocol import Status
from support.monitor import running
from support.waiting import until


class Both:
    """What is observed, and the monitor."""

    def __init__(self, every: float) -> None:
        self.status: Status | None = None
        self.wants = Status(behind=0, current=True, problems=(), numbers_every=every)
        self.looked = 0
        self.fails: list[Exception] = []
        self.told: list[tuple[Family, ...]] = []

    async def families(self) -> Families:
        self.looked += 1
        out = Families()
        out.family("casemate_x", "gauge", "x")
        out.sample("", self.looked)
        return out

    async def tell_numbers(self, messages: Iterable[tuple[Family, ...]], **_: Any) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self.told += messages


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers_told, "LOOK_SECONDS", 0.01)


@running
async def test_they_are_told_as_often_as_they_are_wanted() -> None:
    both = Both(0.1)
    telling = NumbersTold(both, both, 1.0)  # type: ignore[arg-type]
    telling.start()
    await asyncio.sleep(0.05)
    assert both.looked == 0  # there is no monitor
    both.status = both.wants
    both.fails = [MonitorUnavailableError("gone"), KeyError("a fault")]
    await until(lambda: len(both.told) >= 2)
    assert both.told[0][0].samples == (("", 3.0),)
    await telling.close()


@running
async def test_nothing_is_counted_together_for_nobody() -> None:
    both = Both(0.0)
    both.status = both.wants
    telling = NumbersTold(both, both, 1.0)  # type: ignore[arg-type]
    telling.start()
    await asyncio.sleep(0.1)
    await telling.close()
    assert both.looked == 0
