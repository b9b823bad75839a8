"""What is done on the side ends with whoever has it, whatever it does."""

from __future__ import annotations

import asyncio

from casemate.background import Background


def test_it_is_broken_off_and_has_ended_when_it_is_closed() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            ended.append("now")

    async def run() -> None:
        background = Background()
        background.start(work())
        await asyncio.sleep(0)
        await background.close()
        assert ended == ["now"]
        await background.close()

    asyncio.run(run())


def test_one_that_failed_or_never_began_is_closed_as_well() -> None:
    async def fails() -> None:
        raise RuntimeError("a fault")

    async def run() -> None:
        background = Background()
        await background.close()
        task = background.start(fails())
        await asyncio.wait({task})
        await background.close()
        assert isinstance(task.exception(), RuntimeError)

    asyncio.run(run())


def test_who_asks_meanwhile_shares_what_is_done() -> None:
    begun: list[str] = []

    async def work() -> None:
        begun.append("once more")
        await asyncio.sleep(0.01)

    async def run() -> None:
        background = Background()
        first, second = background.shared(work), background.shared(work)
        assert first is second
        await first
        await background.shared(work)
        assert len(begun) == 2

    asyncio.run(run())
