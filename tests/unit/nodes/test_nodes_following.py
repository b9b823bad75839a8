"""What others change is read again: in time, seldom enough, whole or not at all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from casemate.model.nodes import StoreChanges
from casemate.nodes import following
from casemate.nodes.following import Following, Part
from casemate.nodes.standing import Standing


class Store:
    """Knows topics by the revision of their last change."""

    def __init__(self) -> None:
        self.revision = 1
        self.topics: dict[str, int] = {}
        self.asked = 0
        self.fault: Exception | None = None
        self.hangs = False

    def step(self, topic: str) -> None:
        self.revision += 1
        self.topics[topic] = self.revision

    async def changes_since(self, revision: int) -> StoreChanges:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise self.fault
        topics = frozenset(name for name, at in self.topics.items() if at > revision)
        return StoreChanges(
            revision=self.revision, topics=topics if revision <= self.revision else None
        )


class World:
    def __init__(self, *names: str, max_stale: float = 10.0) -> None:
        self.clock = 0.0
        self.store = Store()
        self.standing = Standing(max_stale, lambda: self.clock)
        self.read: list[str] = []
        self.faults: dict[str, Exception] = {}
        self.gates: dict[str, asyncio.Event] = {}
        self.following = Following(
            self.store,  # type: ignore[arg-type]
            [self._part(name) for name in names],
            self.standing,
        )

    def _part(self, name: str) -> Part:
        async def reload() -> None:
            if name in self.gates:
                await self.gates[name].wait()
            if name in self.faults:
                raise self.faults[name]
            self.read.append(name)

        return Part(name=name, topics=frozenset({name}), reload=reload)

    async def look(self) -> None:
        await self.following.look()
        await self.following.settled()


def play(scene: Callable[[World], Awaitable[None]], *names: str) -> None:
    async def whole() -> None:
        world = World(*(names or ("accounts", "policies")))
        await world.following.begin()
        try:
            await scene(world)
        finally:
            await world.following.close()

    asyncio.run(asyncio.wait_for(whole(), 20))


def test_only_what_was_changed_is_read_again_and_once() -> None:
    async def scene(world: World) -> None:
        await world.look()
        assert world.read == []
        world.store.step("policies")
        world.store.step("value of nobody's")
        await world.look()
        await world.look()
        assert world.read == ["policies"]

    play(scene)


def test_what_was_changed_between_begin_and_start_is_read() -> None:
    async def scene(world: World) -> None:
        world.store.step("accounts")
        await world.look()
        assert world.read == ["accounts"]

    play(scene)


def test_a_store_that_went_back_is_read_wholly() -> None:
    async def scene(world: World) -> None:
        world.store.revision = 0
        await world.look()
        assert sorted(world.read) == ["accounts", "policies"]

    play(scene)


def test_what_cannot_be_read_stays_is_said_and_is_read_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(world: World) -> None:
        world.store.step("policies")
        world.store.step("accounts")
        world.faults["policies"] = ValueError("half-way")
        world.clock = 5.0
        with caplog.at_level(logging.INFO):
            for _ in range(3):
                await world.look()
        assert world.read == ["accounts"]
        assert "policies cannot be read: half-way" in world.following.problems()
        assert caplog.text.count("half-way") == 1, "told once"
        world.clock = 10.5
        await world.look()
        assert world.standing.stale(), "it is known that it is not known"
        world.faults.clear()
        await world.look()
        assert world.read == ["accounts", "policies"]
        assert (world.standing.stale(), world.following.problems()) == ("", "")

    play(scene)


def test_a_store_that_cannot_be_asked_makes_a_node_stale_and_not_before() -> None:
    async def scene(world: World) -> None:
        world.store.fault = OSError("away")
        for world.clock in (3.0, 6.0, 9.9):
            await world.look()
            assert world.standing.stale() == ""
        assert "away" in world.following.problems()
        world.clock = 10.1
        assert world.standing.stale()
        world.store.fault = None
        await world.look()
        assert (world.standing.stale(), world.following.problems()) == ("", "")

    play(scene)


def test_a_question_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "ASK_SECONDS", 0.01)

    async def scene(world: World) -> None:
        world.store.hangs = True
        await world.look()
        assert "it takes too long" in world.following.problems()

    play(scene)


def test_a_part_that_takes_long_keeps_no_other_waiting_and_is_read_once_at_a_time() -> None:
    async def scene(world: World) -> None:
        gate = world.gates["functions"] = asyncio.Event()
        world.store.step("functions")
        await world.following.look()
        world.store.step("functions")
        world.store.step("accounts")
        for _ in range(5):
            await world.following.look()
        assert world.read == ["accounts"]
        world.clock = 10.5
        await world.following.look()
        assert world.standing.stale(), "functions are of before"
        gate.set()
        await world.following.settled()
        assert world.read == ["accounts", "functions"]
        await world.look()
        assert world.read == ["accounts", "functions", "functions"], "changed while it was read"
        assert world.standing.stale() == ""

    play(scene, "functions", "accounts")


def test_a_thousand_revisions_are_read_twice_a_second_at_the_most() -> None:
    async def scene(world: World) -> None:
        async def steps() -> None:
            while True:
                world.store.step("policies")
                await asyncio.sleep(0.001)

        stepping = asyncio.ensure_future(steps())
        world.following.start()
        await asyncio.sleep(1.2)
        stepping.cancel()
        assert 1 <= len(world.read) <= 4
        assert world.store.asked <= 5

    play(scene)
