"""A node begins, says that it is there, hears that it is drained, and ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from casemate.model.errors import ConflictError
from casemate.model.nodes import NodeState, StoreChanges
from casemate.nodes import Among, IdentityFile, Self
from casemate.nodes import membership as being
from casemate.operations.nodes import DrainNode, KeepNode, ListNodes, RemoveNode
from support.nodes import NodeStore


class SharedNodes(NodeStore):
    """Nodes of which nothing else is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.off = 0.0
        self.fault: Exception | None = None

    async def change(self, operation: Any) -> Any:
        if self.fault is not None:
            raise self.fault
        done = await super().change(operation)
        if isinstance(operation, KeepNode):
            return msgspec.structs.replace(done, at=done.at + self.off)
        return done

    async def changes_since(self, revision: int) -> StoreChanges:
        return StoreChanges(revision=1, topics=frozenset())


class World:
    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, SharedNodes()

    def node(self, folder: str = "one", *, alone: bool = False, host: str = "web") -> Among:
        place = self.folder / folder
        place.mkdir(exist_ok=True)
        shared: Any = None if alone else self.store
        own = Self(host=host, address=f"https://{folder}:1", version="1")
        return Among(self.store, IdentityFile(place), own, shared=shared)  # type: ignore[arg-type]

    async def states(self) -> dict[str, NodeState]:
        return {one.address: one.state for one in (await self.store.read(ListNodes())).nodes}


Play = Callable[[Callable[[World], Awaitable[None]]], None]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    def played(scene: Callable[[World], Awaitable[None]]) -> None:
        asyncio.run(asyncio.wait_for(scene(World(tmp_path)), 20))

    return played


def test_two_on_one_host_have_names_of_their_own_and_one_that_ends_is_gone(play: Play) -> None:
    async def scene(world: World) -> None:
        one, other = world.node(), world.node("two")
        for node in (one, other):
            await node.begin()
        names = [each.name for each in (await one.membership.list()).nodes]
        assert len(set(names)) == 2 and all(name.startswith("web-") for name in names)
        theirs = await other.membership.others()
        assert set(theirs + await one.membership.others()) == set(names) and len(theirs) == 1
        await other.close()
        assert await one.membership.others() == ()
        assert await world.states() == {
            "https://one:1": NodeState.UP,
            "https://two:1": NodeState.GONE,
        }
        again = world.node("two")
        await again.begin()
        assert again.membership.incarnation > other.membership.incarnation

    play(scene)


def test_a_copied_folder_does_not_begin(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.node().begin()
        copy = world.folder / "two"
        copy.mkdir()
        (copy / "node.json").write_bytes((world.folder / "one" / "node.json").read_bytes())
        with pytest.raises(ConflictError, match="https://one:1, which is there"):
            await world.node("two").begin()

    play(scene)


def test_a_node_hears_that_it_is_drained_and_that_this_is_undone(play: Play) -> None:
    async def scene(world: World) -> None:
        one, other = world.node(), world.node("two")
        for node in (one, other):
            await node.begin()
        (name,) = [n.name for n in (await one.membership.list()).nodes if n.id == one.membership.id]
        await other.membership.drain(DrainNode(name=name))
        assert one.standing.refusal() == ""
        await one.membership.beat()
        assert one.standing.draining and not other.standing.draining
        assert one.problems() == "The node is drained."
        await one.membership.drain(DrainNode(name=name, undo=True))
        assert one.standing.refusal() == "", "of itself it knows at once"

    play(scene)


def test_one_in_whose_place_another_was_begun_takes_no_calls_any_more(play: Play) -> None:
    async def scene(world: World) -> None:
        stopped = world.node()
        await stopped.begin()
        await world.node().begin()  # as the supervisor starts one, the first was stopped only
        await stopped.membership.beat()
        assert "was started in its place" in stopped.standing.stale()
        await stopped.close()
        assert list((await world.states()).values()) == [NodeState.UP]

    play(scene)


def test_a_clock_that_was_set_is_met_and_forgiven(play: Play) -> None:
    async def scene(world: World) -> None:
        node = world.node()
        await node.begin()
        world.store.off = -3600.0
        await node.membership.beat()
        assert "+3600 s off" in node.standing.stale()
        world.store.off = 0.0
        await node.membership.beat()
        assert node.standing.stale() == ""

    play(scene)


def test_a_node_that_begins_with_a_wrong_clock_is_refused(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Later:
        time = staticmethod(lambda: time.time() + 3600)

    async def scene(world: World) -> None:
        monkeypatch.setattr(being, "time", Later)
        with pytest.raises(ConflictError, match="3600 s off"):
            await world.node().begin()
        assert await world.states() == {}

    play(scene)


def test_it_is_said_again_after_the_store_was_away(
    play: Play, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(being, "BEAT_SECONDS", 0.01)

    async def scene(world: World) -> None:
        node = world.node()
        await node.begin()
        (before,) = (await world.store.read(ListNodes())).nodes
        world.store.fault = ConnectionError("away")
        node.start()
        await asyncio.sleep(0.05)
        world.store.fault = None
        while (await world.store.read(ListNodes())).nodes[0].seen_at == before.seen_at:
            await asyncio.sleep(0.01)
        await node.close()

    play(scene)
    assert "could not be said" in caplog.text


def test_a_node_alone_shows_itself_and_is_neither_drained_nor_removed(play: Play) -> None:
    async def scene(world: World) -> None:
        node = world.node(alone=True)
        await node.begin()
        (own,) = (await node.membership.list()).nodes
        assert (own.state, own.silent < 5) == (NodeState.UP, True)
        with pytest.raises(ConflictError, match="for itself, so none is drained"):
            await node.membership.drain(DrainNode(name=own.name))
        with pytest.raises(ConflictError, match="for itself, so none is removed"):
            await node.membership.remove(RemoveNode(name=own.name))
        again = world.node(alone=True, host="other")
        await again.begin()
        assert len((await again.membership.list()).nodes) == 1

    play(scene)


def test_each_knows_how_many_take_calls(play: Play) -> None:
    async def scene(world: World) -> None:
        told: list[int] = []
        one, other = world.node(), world.node("two")
        one.membership.on_nodes = told.append
        for node in (one, other):
            await node.begin()
        assert other.membership.nodes == 2
        await one.membership.beat()
        name = next(n.name for n in (await one.membership.list()).nodes if "two" in n.address)
        await other.membership.drain(DrainNode(name=name))
        await one.membership.beat()
        await other.membership.drain(DrainNode(name=name, undo=True))
        await one.membership.beat()
        await other.close()
        await one.membership.beat()
        assert told == [1, 2, 1, 2, 1]

    play(scene)
