"""Small things by key, spread over values: all that was put is there, whatever comes at once."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import msgspec
import pytest

from casemate.operations.declaration import Operation
from casemate.store.errors import StoreError
from casemate.store.parts import Parts
from support.core import MemoryStore

T = TypeVar("T")


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    value: int = 0


class SlowStore(MemoryStore):
    """Lets others run before it writes."""

    async def change(self, operation: Operation[T]) -> T:
        await asyncio.sleep(0)
        return await super().change(operation)


def parts_of(store: MemoryStore, parts: int = 4) -> Parts[Thing]:
    return Parts(store, "things", Thing, lambda thing: thing.name, parts=parts)


def things(names: str, value: int = 0) -> list[Thing]:
    return [Thing(name=name, value=value) for name in names]


async def stored(store: MemoryStore, parts: int = 4) -> dict[str, int]:
    again = parts_of(store, parts)
    await again.load()
    return {name: thing.value for name, thing in again.held.items()}


def test_what_is_put_and_dropped_is_so_after_a_start() -> None:
    async def scene() -> None:
        store = MemoryStore()
        parts = parts_of(store)
        await parts.load()
        await parts.put(*things("abcdef"))
        await parts.put(*things("ab", 1), *things("g"))
        await parts.drop(("c", "unknown"))
        expected = {"a": 1, "b": 1, "d": 0, "e": 0, "f": 0, "g": 0}
        assert {name: thing.value for name, thing in parts.held.items()} == expected
        assert await stored(store) == expected

    asyncio.run(scene())


def test_changes_at_the_same_time_lose_nothing() -> None:
    async def scene() -> None:
        store = SlowStore()
        parts = parts_of(store, parts=1)
        await parts.put(*things("z"))
        await asyncio.gather(*(parts.put(*things(name)) for name in "abcdef"), parts.drop("z"))
        assert set(parts.held) == set(await stored(store, parts=1)) == set("abcdef")

    asyncio.run(scene())


def test_what_could_be_written_is_known_where_the_rest_could_not() -> None:
    async def scene() -> None:
        store = MemoryStore()
        parts = parts_of(store)
        await parts.put(*things("abcdef"))
        store.fault = StoreError("no room")
        with pytest.raises(StoreError):
            await parts.put(*things("abcdef", 1))
        held = {name: thing.value for name, thing in parts.held.items()}
        assert held == await stored(store) == dict.fromkeys("abcdef", 0)
        await parts.put(*things("abcdef", 1))
        assert await stored(store) == dict.fromkeys("abcdef", 1)

    asyncio.run(scene())


def test_a_change_looks_at_what_changes_and_not_at_all_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene() -> None:
        parts = parts_of(MemoryStore(), parts=64)
        await parts.put(*(Thing(name=str(number)) for number in range(1_000)))
        looked: list[str] = []
        part = parts._part
        monkeypatch.setattr(parts, "_part", lambda key: looked.append(key) or part(key))
        await parts.put(Thing(name="7", value=1), Thing(name="8"))
        await parts.drop(("9", "unknown"))
        assert looked == ["7", "9"]

    asyncio.run(scene())


def test_what_cannot_be_read_is_told() -> None:
    async def scene() -> None:
        store = MemoryStore()
        await parts_of(store).put(*things("a"))
        store.values = dict.fromkeys(store.values, b'[{"other": 1}]')
        with pytest.raises(StoreError, match="The things that the node keeps"):
            await parts_of(store).load()

    asyncio.run(scene())


class CountingStore(MemoryStore):
    asked = 0

    async def read(self, operation: Operation[T]) -> T:
        self.asked += 1
        return await super().read(operation)


def test_a_start_asks_for_many_values_at_a_time() -> None:
    async def scene() -> None:
        store = CountingStore()
        await parts_of(store, 256).load()
        assert store.asked == 4
        await parts_of(store, 1).load()
        assert store.asked == 5

    asyncio.run(scene())
