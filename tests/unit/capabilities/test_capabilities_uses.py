"""The counter of uses: what another write took is written before anybody is told so."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from casemate.capabilities import UseCounter, use_of
from casemate.model.denial import GrantUse
from support.core import MemoryStore, version


class SlowStore(MemoryStore):
    """A store whose writes take until they are let through."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()

    async def add_uses(self, uses: Sequence[GrantUse]) -> None:
        await self.let.wait()
        await super().add_uses(uses)


def test_a_flush_waits_for_the_write_that_took_what_was_counted() -> None:
    """The timer's write is under way when somebody asks what was used."""

    async def run() -> None:
        store = SlowStore()
        counter = UseCounter(store)
        counter.note(use_of(version(1), "function price", "invoke", at=1.0))
        first = asyncio.ensure_future(counter.flush())
        await asyncio.sleep(0)
        second = asyncio.ensure_future(counter.flush())
        await asyncio.sleep(0.01)
        assert not second.done()
        store.let.set()
        await second
        assert [use.grant for use in store.used] == ["function price"]
        await first
        counter.close()

    asyncio.run(run())
