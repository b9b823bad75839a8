"""The memory of zygotes is told one at a time, when there is time, and again after a while."""

from __future__ import annotations

import pytest

from casemate.sandbox import protocol
from casemate.supervisor import measuring
from casemate.supervisor.measuring import Measuring


class Zygote:
    def __init__(self, pid: int) -> None:
        self.pid = pid


class Outbox:
    def __init__(self) -> None:
        self.told: list[protocol.Held] = []

    def tell(self, event: protocol.Held) -> None:
        self.told.append(event)


@pytest.fixture
def outbox(monkeypatch: pytest.MonkeyPatch) -> Outbox:
    def memory(pid: int) -> int:
        if pid < 0:
            raise ProcessLookupError
        return pid * 1000

    monkeypatch.setattr(measuring, "zygote_memory", memory)
    return Outbox()


def of(outbox: Outbox, *pids: int) -> tuple[Measuring, list[Zygote]]:
    found, zygotes = Measuring(outbox), [Zygote(pid) for pid in pids]  # type: ignore[arg-type]
    for number, zygote in enumerate(zygotes):
        found.begin(zygote, number, 100.0)  # type: ignore[arg-type]
    return found, zygotes


def test_each_is_told_once_it_has_settled_and_one_at_a_time(outbox: Outbox) -> None:
    found, _ = of(outbox, 7, 8)
    found.measure_next(100.4)
    assert outbox.told == []
    found.measure_next(100.6)
    assert outbox.told == [protocol.Held(0, 7000)]
    found.measure_next(100.6)
    found.measure_next(100.6)
    assert outbox.told == [protocol.Held(0, 7000), protocol.Held(1, 8000)]


def test_they_are_measured_again_after_a_minute(outbox: Outbox) -> None:
    found, _ = of(outbox, 7)
    for now in range(100, 260):
        found.measure_next(float(now))
    assert len(outbox.told) == 3


def test_calls_go_before_until_it_is_late(outbox: Outbox) -> None:
    found, _ = of(outbox, 7)
    found.measure_next(103.0, busy=True)
    assert outbox.told == []
    found.measure_next(106.0, busy=True)
    assert len(outbox.told) == 1


def test_what_has_ended_is_not_told(outbox: Outbox) -> None:
    found, zygotes = of(outbox, -1, 8)
    found.forget(zygotes[1])  # type: ignore[arg-type]
    found.forget(zygotes[1])  # type: ignore[arg-type]
    found.measure_next(110.0)
    found.measure_next(110.0)
    assert outbox.told == []


def test_with_none_there_is_nothing_to_do(outbox: Outbox) -> None:
    Measuring(outbox).measure_next(1.0)  # type: ignore[arg-type]
    assert outbox.told == []
