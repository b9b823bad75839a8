"""Messages gathered into batches, and work that goes on together."""

from __future__ import annotations

import asyncio

import pytest

from casemate.sources.batches import Gathering, together


def test_a_batch_is_what_is_there_up_to_a_size() -> None:
    async def run() -> None:
        gathered: Gathering[int] = Gathering(10, 100)
        for number in range(5):
            await gathered.put(number, 40)
        assert await gathered.batch() == [0, 1]
        assert await gathered.batch() == [2, 3]
        assert await gathered.batch() == [4]
        assert await gathered.batch(0.01) == []
        await gathered.put(7, 1000)  # alone it may be larger
        assert await gathered.batch() == [7]

    asyncio.run(run())


def test_what_is_held_is_bounded_in_bytes_and_comes_in_order() -> None:
    async def run() -> None:
        gathered: Gathering[int] = Gathering(1000, 100, 150)
        waiting = [asyncio.ensure_future(gathered.put(number, 60)) for number in range(6)]
        await asyncio.sleep(0.01)
        assert [each.done() for each in waiting] == [True, True, False, False, False, False]
        gathered.put_or_lose(99, 60)
        assert gathered.take_lost() == 1
        found: list[int] = []
        while len(found) < 6:
            found += await gathered.batch()
        assert found == [0, 1, 2, 3, 4, 5]
        await gathered.put(7, 10_000)  # alone it may be larger
        assert await gathered.batch() == [7]

    asyncio.run(run())


def test_without_room_putting_waits_and_the_other_kind_counts() -> None:
    async def run() -> None:
        gathered: Gathering[int] = Gathering(2, 100)
        for number in range(5):
            gathered.put_or_lose(number, 1)
        assert (gathered.take_lost(), gathered.take_lost()) == (3, 0)
        waiting = asyncio.ensure_future(gathered.put(9, 1))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        assert await gathered.batch() == [0, 1]
        await waiting
        assert await gathered.batch() == [9]

    asyncio.run(run())


def test_the_first_that_ends_ends_all() -> None:
    async def run() -> None:
        ended = []

        async def lasting() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                ended.append("lasting")

        async def failing() -> None:
            await asyncio.sleep(0.01)
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            await together(lasting(), failing())
        assert ended == ["lasting"]
        await together(lasting(), asyncio.sleep(0))

    asyncio.run(run())


def test_a_cancellation_ends_all() -> None:
    async def run() -> None:
        ended = []

        async def lasting() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(1)

        task = asyncio.ensure_future(together(lasting(), lasting()))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == [1, 1]

    asyncio.run(run())
