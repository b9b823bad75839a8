"""Readings of control groups become what calls used: nothing lost, nothing twice, in any order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.sandbox import meter as module
from casemate.sandbox.meter import Meter, Metered, Meters


def play(scene: Callable[[Meters], Awaitable[None]]) -> None:
    async def run() -> None:
        meters = Meters(asyncio.get_running_loop())
        try:
            await asyncio.wait_for(scene(meters), 10)
        finally:
            meters.close()
        assert len(meters) == 0

    asyncio.run(run())


def new(meters: Meters) -> Meter:
    return Meter(asyncio.get_running_loop(), meters)


def test_a_reading_is_of_the_calls_since_the_one_before() -> None:
    async def scene(meters: Meters) -> None:
        meter = new(meters)
        meters.read(meter, 40, last=False)  # before its first call: what it took to be ready
        first = meter.ended(0.1)
        assert not first.known and len(meters) == 1
        meters.read(meter, 140, last=False)
        assert (first.known, first.cpu_us) == (True, 140)
        second = meter.ended(0.1)
        meters.read(meter, 200, 5 << 20, last=True)
        assert (second.cpu_us, second.memory) == (60, 5 << 20)

    play(scene)


def test_what_ended_before_its_call_was_told_is_known_at_once() -> None:
    async def scene(meters: Meters) -> None:
        meter = new(meters)
        meters.read(meter, 700, 9, last=True)
        call = meter.ended(0.5)
        assert (call.known, call.cpu_us, call.memory) == (True, 700, 9)
        assert meter.ended(0.5).cpu_us == 0
        meters.read(meter, 9999, last=True)  # of one that is over nothing more is believed

    play(scene)


def test_where_nobody_knows_a_call_has_used_all_of_its_time() -> None:
    async def scene(meters: Meters) -> None:
        meter = new(meters)
        call = meter.ended(0.25)
        meters.read(meter, None, last=True)
        assert call.known and call.cpu_us == 250_000
        assert new_over(meters).ended(0.5).cpu_us == 500_000

    def new_over(meters: Meters) -> Meter:
        meter = new(meters)
        meters.read(meter, None, last=True)
        return meter

    play(scene)


def test_a_counter_that_goes_back_takes_nothing_off() -> None:
    async def scene(meters: Meters) -> None:
        meter = new(meters)
        calls = [meter.ended(0.1)]
        meters.read(meter, 500, last=False)
        calls.append(meter.ended(0.1))
        meters.read(meter, 100, last=False)
        calls.append(meter.ended(0.1))
        meters.read(meter, 600, last=True)
        assert [call.cpu_us for call in calls] == [500, 0, 100]

    play(scene)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=20), st.integers(0, 10**9))
def test_calls_between_two_readings_share_all_of_it(seconds: list[float], total: int) -> None:
    async def scene(meters: Meters) -> None:
        meter = new(meters)
        calls = [meter.ended(each) for each in seconds]
        meters.read(meter, total, last=True)
        assert sum(call.cpu_us for call in calls) == total
        assert all(call.known and call.cpu_us >= 0 for call in calls)

    play(scene)


def test_a_reused_instance_is_asked_once_for_many_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASK_SECONDS", 0.01)

    async def scene(meters: Meters) -> None:
        meter, other, asked = new(meters), new(meters), []
        ask = asked.append
        meter.ask, other.ask = (ask, 7), (ask, 8)  # type: ignore[assignment]
        calls = [meter.ended(0.001) for _ in range(100)]
        last = other.ended(0.001)
        await asyncio.sleep(0.05)
        assert asked == [[7, 8]]
        meters.read(meter, 5000, last=False)
        assert sum(call.cpu_us for call in calls) == 5000 and not last.known
        await asyncio.sleep(0.03)
        assert asked == [[7, 8]]
        for one in (meter, other):
            meters.read(one, 5000, last=True)

    play(scene)


def test_who_waits_for_records_has_readings_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASK_SECONDS", 60.0)

    async def scene(meters: Meters) -> None:
        meter = new(meters)
        meter.ask = (lambda _numbers: meters.read(meter, 10, last=False), 1)
        call, told = meter.ended(0.001), []
        call.then(told.append)
        await meters.settled()
        assert told == [call] and call.cpu_us == 10
        silent = new(meters).ended(1.0)
        await meters.settled(0.05)
        assert not silent.known

    play(scene)


def test_a_supervisor_that_says_nothing_holds_no_record_up_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "GIVE_UP_SECONDS", 0.05)

    async def scene(meters: Meters) -> None:
        meter = new(meters)
        call = meter.ended(0.002)
        await asyncio.sleep(0.2)
        assert call.known and call.cpu_us == 2000 and len(meters) == 0
        # What was guessed of it is not counted once more.
        late = meter.ended(0.001)
        meters.read(meter, 2500, last=True)
        assert late.cpu_us == 500

    play(scene)


def test_everybody_who_asked_hears_it_once() -> None:
    call, told = Metered(1.0, 0.0), []
    call.then(told.append)
    call.then(told.append)
    call.know(3, 4)
    call.know(5, 6)
    call.then(told.append)
    assert told == [call] * 3 and (call.cpu_us, call.memory) == (3, 4)
