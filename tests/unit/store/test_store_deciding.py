"""A change that was decided on what another node has changed is decided again, so often."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from casemate.model.errors import ConflictError
from casemate.model.nodes import StoreChanges
from casemate.operations.node import KeepNodeValue
from casemate.store.deciding import TRIES, AloneDecisions, SharedDecisions
from casemate.store.errors import StoreMovedError

TOPICS = frozenset({"things"})


class Store:
    """One number, changed by others before as many of our changes as `rivals` says."""

    def __init__(self, rivals: int = 0) -> None:
        self.revision = 1
        self.value = 0
        self.rivals = rivals

        self.changed = self.expected = TOPICS

    async def changes_since(self, revision: int) -> StoreChanges:
        topics = self.changed if self.revision > revision else frozenset()
        return StoreChanges(revision=self.revision, topics=topics)

    async def change_at(self, operation: Any, revision: int, topics: Any) -> None:
        assert topics == self.expected
        if self.rivals:
            self.rivals -= 1
            self.value += 1
            self.revision += 1
        if self.revision > revision:
            raise StoreMovedError("moved")
        await self.change(operation)

    async def change(self, operation: Any) -> None:
        self.value = int(operation.value)
        self.revision += 1


class Node:
    """Counts up: two that count on the same number would lose one."""

    def __init__(self, store: Store, decisions: Any = None) -> None:
        self.store, self.known, self.renewed = store, 0, 0
        self.decisions = decisions or SharedDecisions(store)  # type: ignore[arg-type]

    async def renew(self) -> None:
        self.renewed += 1
        self.known = self.store.value

    async def count(self) -> None:
        async def decide() -> KeepNodeValue:
            if self.known >= 100:
                raise ConflictError("there are enough")
            self.known += 1
            return KeepNodeValue(name="n", value=str(self.known).encode())

        await self.decisions.make(decide, self.renew, TOPICS)


def test_what_nobody_else_changes_is_read_when_it_has_to_be() -> None:
    node = Node(Store())
    for _ in range(3):
        asyncio.run(node.count())
    assert node.store.value == 3


def test_what_another_changed_is_counted() -> None:
    store = Store()
    one, other = Node(store), Node(store)
    for node in (one, other, one, one, other):
        asyncio.run(node.count())
    assert store.value == 5


def test_it_is_decided_again_on_what_another_has_changed_meanwhile() -> None:
    node = Node(Store(rivals=3))
    asyncio.run(node.count())
    assert node.store.value == 4
    node.store.value, node.store.revision = 100, node.store.revision + 1
    with pytest.raises(ConflictError, match="enough"):
        asyncio.run(node.count())


def test_it_is_given_up_where_others_change_it_all_the_time() -> None:
    node = Node(Store(rivals=1000))
    with pytest.raises(ConflictError, match="Other nodes"):
        asyncio.run(node.count())
    assert node.renewed == TRIES
    assert node.store.rivals == 1000 - TRIES


def test_a_node_alone_reads_nothing_again() -> None:
    store = Store()
    node = Node(store, AloneDecisions(store))  # type: ignore[arg-type]
    asyncio.run(node.count())
    assert (node.renewed, store.value) == (0, 1)


def test_it_is_decided_on_what_stands_besides_as_well() -> None:
    """Who may do it is read again before, where another node has changed that, and only then."""
    store, read = Store(), []

    async def reload() -> None:
        read.append(store.revision)

    rights = SimpleNamespace(topics=frozenset({"rights"}), reload=reload)
    decisions = SharedDecisions(store).besides(rights)  # type: ignore[arg-type]
    node = Node(store, decisions)
    store.expected = TOPICS | {"rights"}
    asyncio.run(node.count())
    assert read == [1], "nothing was known to be in memory"
    store.changed, store.revision = frozenset({"rights"}), store.revision + 1
    asyncio.run(node.count())
    assert (read, node.renewed) == ([1, 3], 1)
    store.rivals = 1
    asyncio.run(node.count())
    assert read == [1, 3, 4, 5], "what is changed until it is made counts too"
    assert isinstance(AloneDecisions(store).besides(rights), AloneDecisions)  # type: ignore[arg-type]
