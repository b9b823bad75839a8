"""Nodes that share a store: each has its place once, by the clock of the store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from store_samples import KEY, Opening

from casemate.model.errors import ConflictError, NotFoundError
from casemate.model.nodes import Beat, ClusterNode, NodeState
from casemate.operations.nodes import (
    BeginNode,
    DrainNode,
    EndNode,
    KeepNode,
    ListNodes,
    RemoveNode,
)
from casemate.store import Store
from casemate.store.errors import StoreGoneError
from casemate.store.sqlite import nodes as performing
from casemate.store.sqlite.store import SqliteStore


def begin(id: str = "a", name: str = "n1", had: int = 0, **changes: object) -> BeginNode:
    values: dict[str, object] = {
        "address": "https://one:1",
        "version": "1",
        "clock": time.time(),
        **changes,
    }
    return BeginNode(id=id, name=name, had=had, **values)  # type: ignore[arg-type]


def keep(beat: Beat, id: str = "a") -> KeepNode:
    return KeepNode(id=id, incarnation=beat.incarnation, address="https://one:1", version="2")


async def only(store: Store) -> ClusterNode:
    (found,) = (await store.read(ListNodes())).nodes
    return found


def played(opening: Opening, scene: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        store = opening()
        try:
            await scene(store)
        finally:
            await store.close()

    asyncio.run(run())


def gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the nodes not heard of any more."""
    monkeypatch.setattr(performing, "GONE_SECONDS", 0.0)


@pytest.mark.parametrize("seen", [1, 4])
def test_a_store_that_is_older_than_the_nodes_last_start_is_refused(
    tmp_path: Path, seen: int
) -> None:
    """Before: what had been revoked since held again, and nothing told of it."""

    async def scene(store: Store) -> None:
        for _ in range(seen):
            await store.change(begin(alone=True))
        with pytest.raises(StoreGoneError, match=f"seen {seen} starts, and this node 5") as caught:
            await store.change(begin(alone=True, had=5))
        assert "--accept-loss store" in str(caught.value.next_step)
        assert (await only(store)).incarnation == seen
        accepted = await store.change(begin(alone=True, had=5, accept_loss=True))
        assert accepted.incarnation == 6
        assert (await store.change(begin(alone=True, had=6))).incarnation == 7
        # A kill before the node notes its start leaves the store ahead of it.
        assert (await store.change(begin(alone=True, had=3))).incarnation == 8

    played(lambda: SqliteStore.open(tmp_path / "s", key=KEY), scene)


def test_a_store_that_was_just_made_is_no_older_one(tmp_path: Path) -> None:
    async def scene(store: Store) -> None:
        # It counts on: who remembers the last start finds it no older one at the next.
        assert (await store.change(begin(alone=True, had=5))).incarnation == 6

    played(lambda: SqliteStore.open(tmp_path / "s", key=KEY), scene)


def test_each_start_has_a_higher_incarnation_also_after_a_removal(opening: Opening) -> None:
    async def scene(store: Store) -> None:
        first = await store.change(begin())
        second = await store.change(begin(had=first.incarnation))
        assert second.incarnation > first.incarnation
        with pytest.raises(ConflictError, match="n1 at https://one:1 was started in its place"):
            await store.change(keep(first))
        await store.change(EndNode(id="a", incarnation=first.incarnation))
        assert (await only(store)).state is NodeState.UP, "what it says counts no more"
        await store.change(EndNode(id="a", incarnation=second.incarnation))
        assert (await only(store)).state is NodeState.GONE
        await store.change(RemoveNode(name="n1"))
        with pytest.raises(ConflictError, match="it was removed"):
            await store.change(keep(second))
        third = await store.change(begin(had=second.incarnation))
        assert third.incarnation > second.incarnation

    played(opening, scene)


def test_a_copied_folder_is_refused_by_name(
    opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(store: Store) -> None:
        beat = await store.change(begin())
        had = beat.incarnation
        for copy in (begin(had=had, address="https://two:1"), begin(had=had - 1)):
            with pytest.raises(ConflictError, match="that of the node n1 at https://one:1"):
                await store.change(copy)
        await store.change(keep(beat))
        gone(monkeypatch)  # restored elsewhere, such as from a backup
        await store.change(begin(had=had - 1, address="https://two:1"))
        assert (await only(store)).address == "https://two:1"

    played(opening, scene)


def test_a_name_is_one_nodes_until_that_is_gone(
    opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(store: Store) -> None:
        await store.change(begin())
        with pytest.raises(ConflictError, match="There is a node n1 already"):
            await store.change(begin(id="b"))
        gone(monkeypatch)
        await store.change(begin(id="b"))
        assert (await only(store)).id == "b"

    played(opening, scene)


def test_a_node_is_drained_over_starts_until_that_is_undone(opening: Opening) -> None:
    async def scene(store: Store) -> None:
        beat = await store.change(begin())
        assert not beat.draining
        found = await store.change(DrainNode(name="n1"))
        assert (found.state, found.draining) == (NodeState.DRAINING, True)
        assert (await store.change(keep(beat))).draining
        beat = await store.change(begin(had=beat.incarnation))
        assert beat.draining
        await store.change(DrainNode(name="n1", undo=True))
        assert not (await store.change(keep(beat))).draining
        with pytest.raises(NotFoundError):
            await store.change(DrainNode(name="n2"))

    played(opening, scene)


def test_one_that_is_there_is_not_removed(opening: Opening) -> None:
    async def scene(store: Store) -> None:
        await store.change(begin())
        with pytest.raises(ConflictError, match="is there"):
            await store.change(RemoveNode(name="n1"))
        with pytest.raises(NotFoundError):
            await store.change(RemoveNode(name="n2"))
        assert (await only(store)).silent < 15

    played(opening, scene)


@pytest.mark.parametrize("off", [3600.0, -3600.0, float("nan"), float("inf")])
def test_a_clock_that_is_off_is_refused_and_nothing_is_kept(opening: Opening, off: float) -> None:
    async def scene(store: Store) -> None:
        with pytest.raises(ConflictError, match="clock is"):
            await store.change(begin(clock=time.time() + off))
        assert (await store.read(ListNodes())).nodes == ()

    played(opening, scene)


def test_there_are_so_many_at_the_most(opening: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performing, "MAX_NODES", 1)

    async def scene(store: Store) -> None:
        await store.change(begin())
        with pytest.raises(ConflictError, match="the most"):
            await store.change(begin(id="b", name="n2"))

    played(opening, scene)


def test_a_node_alone_needs_no_wait_after_it_was_killed(opening: Opening) -> None:
    async def scene(store: Store) -> None:
        await store.change(begin(alone=True))
        await store.change(begin(alone=True, address="https://one:2"))
        await store.change(begin(id="b", alone=True))
        assert (await only(store)).id == "b"

    played(opening, scene)
