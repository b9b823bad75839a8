"""Which nodes are there, as one of them knows; and what it takes for so while it can ask nobody."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from casemate.model.nodes import ClusterNode, NodeState
from casemate.nodes import Others


def node(name: str, state: NodeState = NodeState.UP) -> ClusterNode:
    return ClusterNode(
        name=name, id=f"id-{name}", address="https://127.0.0.1", incarnation=1, version="1",
        started_at=0.0, seen_at=0.0, silent=0.0, state=state,
    )  # fmt: skip


def test_the_first_of_those_that_are_up_is_first_and_who_can_ask_nobody_is_so_too() -> None:
    async def run() -> None:
        found: list[Any] = []
        told: list[bool] = []

        async def others() -> tuple[ClusterNode, ...]:
            if not found:
                raise OSError("the database is away")
            return tuple(found)

        async def tell(first: bool) -> None:
            told.append(first)

        own = SimpleNamespace(name="b", id="id-b")
        known = Others(SimpleNamespace(membership=own, others=others), tell)  # type: ignore[arg-type]
        assert known.first and not known.is_gone("a"), "nothing is known"
        found[:] = [node("a"), node("b")]
        await known.look()
        assert not known.first and not known.is_gone("a") and known.is_gone("removed")
        found[:] = [node("a", NodeState.DRAINING), node("b")]
        await known.look()
        assert known.first and not known.is_gone("a")
        found[:] = [node("a", NodeState.GONE), node("b", NodeState.GONE)]
        await known.look()
        assert known.is_gone("a") and not known.is_gone("b"), "it is itself"
        found.clear()
        await known.look()
        assert known.first and not known.is_gone("a"), "nobody is taken for gone unasked"
        assert told == [False, True, False, True]

    asyncio.run(run())
