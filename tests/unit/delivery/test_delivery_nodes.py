"""Delivery by several nodes that share a database: once, in order, within limits, and elsewhere."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))

from data_nodes import Nodes, play
from delivery_world import OK, World, ended

from casemate.data.postgresql import among
from casemate.model.function import Delivery, Limits
from casemate.model.invocation import Outcome
from casemate.model.path import RawInvocation
from support.data_calls import CalledSharedData
from support.database import Server

F: dict[str, Any] = {"name": "f", "delivery": Delivery(attempts=3, backoff=0.02, backoff_most=0.1)}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has seen the others at once."""
    monkeypatch.setattr(among, "JOINED_SECONDS", 0.1)


class Node(World):
    """A node with functions, whose data is shared."""

    data: CalledSharedData

    async def die(self, nodes: Nodes) -> None:
        """End nothing in order, and not be seen any more."""
        frozen = asyncio.get_running_loop().create_future()

        async def never(*_: Any) -> Any:
            return await frozen

        self.data.change = self.data.read = self._run = never  # type: ignore[method-assign]
        self.delivery._attempts._run = never
        nodes.freeze(self.data)


async def start(nodes: Nodes, folder: Path, *names: str, **spec: Any) -> list[Node]:
    found = []
    for name in names:
        node = Node(folder, await nodes.open(name, takes=False))
        await node.deploy({**F, **spec})
        node.delivery.start()
        found.append(node)
    for node in found:
        its = node.data.coordination
        await node.until(lambda its=its: sum(one.takes for one in its._among.living) == len(names))
        await node.until(lambda its=its: its.share("t", "any", 1000) > 0)
    return found


async def stop(found: list[Node]) -> None:
    for node in found:
        await node.delivery.stop(1.0)


def counted(found: list[Node]) -> Counter[Any]:
    return Counter(value for node in found for value in node.values())


def test_two_nodes_handle_each_event_once(postgresql_server: Server, tmp_path: Path) -> None:
    async def scene(nodes: Nodes) -> None:
        found = await start(nodes, tmp_path, "one", "two")
        for node in found:
            node.seconds = 0.02
        for number in range(0, 40, 10):
            await found[number // 10 % 2].send(*range(number, number + 10))
        await found[0].empty()
        assert counted(found) == Counter(range(40))
        await stop(found)

    play(postgresql_server, tmp_path, scene)


def test_the_order_of_a_key_holds_across_nodes(postgresql_server: Server, tmp_path: Path) -> None:
    async def scene(nodes: Nodes) -> None:
        found = await start(nodes, tmp_path, "one", "two")
        ran: list[tuple[str, int]] = []
        failed: set[tuple[str, int]] = set()

        def answer(raw: RawInvocation) -> Any:
            key, number = msgspec.json.decode(raw.events[0].data)
            if random.random() < 0.2 and (key, number) not in failed:
                failed.add((key, number))
                return ended(Outcome.HANDLER_ERROR)
            ran.append((key, number))
            return OK

        for node in found:
            node.answer = answer
            node.seconds = 0.002
        for number in range(6):
            for key in ("a", "b", "c"):
                await found[number % 2].send([key, number], key=key)
        await found[0].empty()
        for key in ("a", "b", "c"):
            assert [n for k, n in ran if k == key] == list(range(6))
        await stop(found)

    play(postgresql_server, tmp_path, scene)


def test_events_of_a_node_that_dies_are_handled_by_another(
    postgresql_server: Server, tmp_path: Path
) -> None:
    async def scene(nodes: Nodes) -> None:
        found = await start(nodes, tmp_path, "one", "two")
        one, two = found
        one.seconds = two.seconds = 3600.0
        await one.send(*range(6), key="k")
        await one.send(*range(10, 16))
        await one.until(lambda: one.running + two.running >= 7)
        if not one.running:  # the other one was quicker, and has all of them
            one, two = two, one
        # What the dead one holds has a lease of minutes.
        await one.die(nodes)
        two.seconds = 0.0
        for task in tuple(two.delivery._tasks) if two.running else ():
            task.cancel()
        two.data.coordination.look()
        held = one.running
        assert held
        await two.until(lambda: len(set(two.values())) >= held)
        await two.delivery.stop(1.0)

    play(postgresql_server, tmp_path, scene)


def test_a_limit_holds_for_all_nodes_together(postgresql_server: Server, tmp_path: Path) -> None:
    async def scene(nodes: Nodes) -> None:
        found = await start(nodes, tmp_path, "one", "two", "three", limits=Limits(concurrency=2))
        most = 0
        total = 0
        run: Callable[..., Any] = World._run

        async def counting(node: Node, raw: RawInvocation) -> Any:
            nonlocal most, total
            total += 1
            most = max(most, total)
            try:
                return await run(node, raw)
            finally:
                total -= 1

        for node in found:
            node.seconds = 0.01
            node.delivery._attempts._run = lambda raw, node=node: counting(node, raw)
        await found[0].send(*range(24))
        await found[1].empty()
        assert counted(found) == Counter(range(24))
        assert most == 2
        await stop(found)

    play(postgresql_server, tmp_path, scene)


def test_a_drained_node_leaves_its_share_and_what_it_has_leased(
    postgresql_server: Server, tmp_path: Path
) -> None:
    async def scene(nodes: Nodes) -> None:
        found = await start(nodes, tmp_path, "one", "two", limits=Limits(concurrency=1))
        only = next(n for n in found if n.data.coordination.share("t", "f", 1))
        other = next(n for n in found if n is not only)
        only.refusal = "drained"
        only.delivery.rest()
        await other.until(lambda: other.data.coordination.share("t", "f", 1) == 1)
        await only.send(*range(5))
        await only.empty()
        assert not only.ran and len(other.ran) == 5
        only.refusal = ""
        only.delivery.resume()
        await other.until(lambda: other.data.coordination.share("t", "f", 1) == 0)
        await only.send(*range(5))
        await only.empty()
        assert len(only.ran) == 5
        await stop(found)

    play(postgresql_server, tmp_path, scene)


def test_a_node_that_was_frozen_gives_back_what_others_may_have(
    postgresql_server: Server, tmp_path: Path
) -> None:
    async def scene(nodes: Nodes) -> None:
        (one,) = await start(nodes, tmp_path, "one", limits=Limits(concurrency=1))
        one.seconds = 0.3
        await one.send(*range(20))
        await one.until(lambda: bool(one.delivery._lanes) and one.running == 1)
        lane = next(iter(one.delivery._lanes.values()))
        await one.until(lambda: len(lane.ready) > 0)
        before = {m.message.id: m.message.fence for b in lane.ready for m in b.messages}
        wake = nodes.freeze(one.data)
        coordination = one.data.coordination
        coordination._among.until = coordination._seen.until = 0.0
        await one.until(lambda: one.running == 0)
        count = len(one.ran)
        await asyncio.sleep(0.4)
        assert len(one.ran) == count  # nothing is begun
        wake()
        one.seconds = 0.0
        await one.until(lambda: len(one.ran) > count)
        await one.empty()
        assert counted([one]) == Counter(range(20))
        assert before
        await one.delivery.stop(1.0)

    play(postgresql_server, tmp_path, scene)
