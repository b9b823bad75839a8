"""What tests of several nodes need: nodes with one database, in one process, that can die."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from data_support import CLUSTER, RESOURCES, FakeVault, emptied

from casemate.data.files import folders_below
from casemate.data.limits import DataOptions
from casemate.data.postgresql.databases import Cluster
from casemate.data.terms import Holder
from casemate.postgresql.settings import Settings
from support.data_calls import CalledSharedData
from support.database import Server


class Nodes:
    """The nodes of one database."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.database = emptied(server)
        self._folder = folder
        self._vault = FakeVault()
        self._opened = AsyncExitStack()
        self._lives = 0

    async def open(self, name: str, *, takes: bool = True) -> CalledSharedData:
        """Return a node that has just started."""
        self._lives += 1
        holder = Holder(name, str(self._lives))
        node = await CalledSharedData.open(
            Cluster(Settings.of_url(self.server.url(self.database)), CLUSTER, holder),
            folders_below(self._folder / "objects"),
            self._vault.data_key,
            DataOptions(),
        )
        self._opened.push_async_callback(node.close)
        if takes:
            node.coordination.heed(str)
        return node

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        with self.server.connect(self.database) as connection:
            cursor = connection.execute(statement)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def age(self, name: str) -> None:
        """Have a node not be seen for a minute."""
        self.sql(f"UPDATE casemate_projects.node SET seen_at = seen_at - 60 WHERE node = '{name}'")

    def freeze(self, node: CalledSharedData) -> Callable[[], None]:
        """Have a node do nothing more that others see, as if it were stopped; return its waking.

        What it knows it goes by until that is over.
        """
        found = node.coordination
        find = found._see
        found._see = lambda connection: None
        self.age(found._own.node)

        def wake() -> None:
            found._see = find
            found.look()

        return wake

    async def close(self) -> None:
        await self._opened.aclose()


def play(
    server: Server, folder: Path, scene: Callable[[Nodes], Awaitable[None]], seconds: float = 30
) -> None:
    """Run a scene with nodes of a new database."""

    async def run() -> None:
        nodes = Nodes(server, folder)
        try:
            async with asyncio.timeout(seconds):
                await scene(nodes)
        finally:
            await nodes.close()

    asyncio.run(run())


__all__ = ["RESOURCES", "Nodes", "play"]
