"""There is one timer for each key, and it goes off at the earliest time that was asked for."""

from __future__ import annotations

import asyncio

from casemate.delivery.timers import Timers

PLACE = ("t", "inbox", "f")


def test_the_earliest_time_holds_and_is_forgotten_once_it_is_over() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        timers, told = Timers(loop), list[str]()
        now = loop.time()
        timers.set(PLACE, now + 60, lambda: told.append("late"))
        timers.set(PLACE, now + 0.01, lambda: told.append("soon"))
        timers.set(PLACE, now + 30, lambda: told.append("later"))
        assert timers.when(PLACE) == now + 0.01 and len(timers) == 1
        await asyncio.sleep(0.05)
        assert told == ["soon"]
        assert timers.when(PLACE) is None and not timers

    asyncio.run(scene())


def test_what_is_dropped_does_not_go_off() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        timers, told = Timers(loop), list[str]()
        for key in (PLACE, ("t", "f"), ("t", "g")):
            timers.set(key, loop.time() + 0.01, lambda key=key: told.append(key))  # type: ignore[misc]
        timers.drop(PLACE)
        timers.drop(PLACE)
        assert len(timers) == 2
        timers.drop_all()
        await asyncio.sleep(0.05)
        assert not told and not timers

    asyncio.run(scene())


def test_who_goes_off_may_set_another_for_the_same() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        timers, told = Timers(loop), list[int]()

        def again() -> None:
            told.append(len(timers))
            if len(told) < 3:
                timers.set(PLACE, loop.time() + 0.001, again)

        timers.set(PLACE, loop.time(), again)
        await asyncio.sleep(0.1)
        assert told == [0, 0, 0]

    asyncio.run(scene())
