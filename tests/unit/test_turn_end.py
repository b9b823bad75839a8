"""What a turn of the loop has ready: sent at its end, in order, bounded, each for itself."""

from __future__ import annotations

import asyncio
import logging

import pytest

from casemate.turn_end import MOST, TurnEnd


def test_what_one_turn_puts_is_sent_at_its_end_in_order() -> None:
    async def scenario() -> None:
        loop, sent = asyncio.get_running_loop(), list[int]()
        ends = TurnEnd()
        for number in range(MOST - 1):
            loop.call_soon(ends.put, lambda number=number: sent.append(number))
        loop.call_soon(lambda: sent.append(-1))
        await asyncio.sleep(0)
        assert sent == [-1]
        await asyncio.sleep(0)
        assert sent == [-1, *range(MOST - 1)]
        ends.put(lambda: sent.append(99))
        await asyncio.sleep(0)
        assert sent[-1] == 99

    asyncio.run(scenario())


def test_no_more_waits_than_may() -> None:
    async def scenario() -> None:
        sent: list[int] = []
        ends = TurnEnd()
        for number in range(2 * MOST + 1):
            ends.put(lambda number=number: sent.append(number))
            assert number - len(sent) < MOST
        await asyncio.sleep(0)
        assert sent == list(range(2 * MOST + 1))

    asyncio.run(scenario())


def test_one_that_fails_keeps_nothing_from_the_others(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        sent: list[str] = []
        ends = TurnEnd()
        ends.put(lambda: sent.append("before"))
        ends.put(lambda: sent.remove("what is not there"))
        ends.put(lambda: sent.append("after"))
        await asyncio.sleep(0)
        assert sent == ["before", "after"]

    with caplog.at_level(logging.ERROR):
        asyncio.run(scenario())
    assert "was not sent" in caplog.text


def test_what_is_put_while_others_are_sent_is_sent_a_turn_later() -> None:
    async def scenario() -> None:
        sent: list[str] = []
        ends = TurnEnd()

        def first() -> None:
            sent.append("first")
            ends.put(lambda: sent.append("second"))

        ends.put(first)
        await asyncio.sleep(0)
        assert sent == ["first"]
        await asyncio.sleep(0)
        assert sent == ["first", "second"]

    asyncio.run(scenario())
