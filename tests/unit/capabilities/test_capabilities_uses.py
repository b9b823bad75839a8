"""The counter of uses: what another write took is written before anybody is told so."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from casemate.capabilities import UseCounter, use_of
from casemate.facts import FactStream
from casemate.model.facts import GrantUsed
from support.core import MemoryStore, version


class SlowStore(MemoryStore):
    """A store whose writes take until they are let through."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()

    async def change(self, operation: Any) -> Any:
        await self.let.wait()
        return await super().change(operation)


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


def test_a_use_says_who_and_in_which_invocation() -> None:
    use = use_of(version(3), "bucket files", "read", "a/", "inv_1", at=5.0)
    named = version(3)
    assert use.by == f"function:{named.project}/{named.function}"
    assert (use.project, use.function, use.version) == (named.project, named.function, 3)
    assert (use.grant, use.action, use.prefix, use.count) == ("bucket files", "read", "a/", 1)
    assert (use.invocation, use.at) == ("inv_1", 5.0)


USES = st.lists(
    st.tuples(st.integers(1, 2), st.sampled_from("ab"), st.integers(1, 5), st.booleans()),
    max_size=60,
)


@given(USES)
def test_what_is_told_adds_up_in_the_store(told: list[tuple[int, str, int, bool]]) -> None:
    """Also over writes in between."""

    async def run() -> MemoryStore:
        store, facts = MemoryStore(), FactStream()
        counter = UseCounter(store)
        facts.listen(GrantUsed, counter.note)
        for at, (number, action, count, flushes) in enumerate(told):
            facts.happened(use_of(version(number), "queue q", action, at=float(at), count=count))
            if flushes:
                await counter.flush()
        await counter.flush()
        counter.close()
        return store

    used = asyncio.run(run()).used
    for number in (1, 2):
        for action in "ab":
            counts = [n for v, a, n, _ in told if (v, a) == (number, action)]
            found = [u for u in used if (u.version, u.action) == (number, action)]
            assert sum(u.count for u in found) == sum(counts)
            assert all(u.first_at <= u.last_at for u in found)
