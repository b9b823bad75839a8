"""kill -9 of the database server, or its freezing, loses no acknowledged change of any node."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Iterator

import pytest

from casemate.model.deployment import NewVersion
from casemate.model.function import FunctionSpec, HttpTrigger
from casemate.operations.deployments import KeepVersions
from casemate.operations.functions import ListFunctions
from casemate.postgresql import driver
from casemate.postgresql.settings import Settings
from casemate.store import StoreBusyError, StoreMediumError
from casemate.store.postgresql.store import PostgresqlStore
from support.database import Server

KILLS = 40
FREEZES = 5
SPEC = FunctionSpec(
    name="f", handler="a:b", python="3.11", http=(HttpTrigger(method="GET", path="/f/{x}"),)
)


@pytest.fixture
def durable() -> Iterator[Server]:
    """A server that keeps what it acknowledges, as it is by default."""
    made = Server("fsync=on")
    try:
        made.make()
        made.start()
        yield made
    finally:
        made.end()


class Node:
    """Deploys without end, and remembers the highest version of which it was told."""

    def __init__(self, url: str, number: int) -> None:
        self.store = PostgresqlStore.open(Settings.of_url(url), cluster="tests")
        self.told: dict[str, int] = {}
        self.failed = 0
        self._number = number

    async def run(self, stop: asyncio.Event, lane: int) -> None:
        project = f"p{self._number}-{lane}"
        while not stop.is_set():
            new = NewVersion(project=project, function="f", digest="a" * 64, spec=SPEC)
            try:
                (version,) = await self.store.change(KeepVersions(versions=(new,), by="k"))
                assert version.number > self.told.get(project, 0)
                self.told[project] = version.number
            except (StoreMediumError, StoreBusyError):
                self.failed += 1
                await asyncio.sleep(0.02)


async def storm(server: Server, strike: Callable[[], Awaitable[None]], strikes: int) -> None:
    url = server.url(server.database())
    moments = random.Random(4716)
    nodes = [Node(url, number) for number in range(2)]
    stop = asyncio.Event()
    tasks = [asyncio.create_task(node.run(stop, lane)) for node in nodes for lane in range(4)]
    for _ in range(strikes):
        await asyncio.sleep(moments.uniform(0.05, 0.5))
        before = sum(sum(node.told.values()) for node in nodes)
        await strike()
        async with asyncio.timeout(60):  # all of them go on
            while sum(sum(node.told.values()) for node in nodes) == before:
                await asyncio.sleep(0.01)
    stop.set()
    await asyncio.gather(*tasks)
    functions = (await nodes[0].store.read(ListFunctions())).functions
    assert functions == (await nodes[1].store.read(ListFunctions())).functions
    found = {function.project: function for function in functions}
    for node in nodes:
        for project, told in node.told.items():
            numbers = [version.number for version in found[project].versions]
            assert numbers == list(range(1, len(numbers) + 1))
            assert len(numbers) >= told
            (live,) = found[project].aliases
            assert live.targets[0].version == numbers[-1]
        await node.store.close()
    told = sum(sum(node.told.values()) for node in nodes)
    print(f"{strikes} strikes, {told} versions told, {sum(n.failed for n in nodes)} failed")
    assert told > strikes


@pytest.mark.storm
def test_kill_of_the_server_loses_nothing_that_was_acknowledged(durable: Server) -> None:
    async def strike() -> None:
        await asyncio.to_thread(durable.kill)
        await asyncio.to_thread(durable.start)

    asyncio.run(storm(durable, strike, KILLS))


@pytest.mark.storm
def test_a_server_that_freezes_is_given_up_and_loses_nothing(
    durable: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(driver, "CONNECT_SECONDS", 2)

    async def strike() -> None:
        durable.signal(signal.SIGSTOP)
        await asyncio.sleep(3.0)
        durable.signal(signal.SIGCONT)

    asyncio.run(storm(durable, strike, FREEZES))
