"""What tests of several databases of projects need: nodes that have two, and what they agree on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

from data_support import CLUSTER, FakeVault, SharedData, emptied

from casemate.data.files import folders_below
from casemate.data.postgresql.databases import Cluster
from casemate.data.terms import Holder
from casemate.gateway.project_places import ProjectPlaces
from casemate.operations.node import KeepNodeValue, ReadNodeValue
from casemate.postgresql.fence import Fence
from casemate.postgresql.settings import Settings
from casemate.store.errors import StoreMovedError
from support.data_calls import CalledPlacedData
from support.database import Server
from support.parts import KeptValues

MAIN, WEST = "main", "west"
_SECOND: dict[Server, str] = {}


def second(server: Server) -> str:
    """Return another database of a server that has nothing."""
    known = _SECOND.get(server)
    if known is None:
        known = _SECOND[server] = server.database()
    with server.connect(known) as connection:
        schemas = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname ~ '^(casemate|[pq]_|m[0-9]|away)'"
        ).fetchall()
        for (schema,) in schemas:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")  # type: ignore[arg-type]
    return known


class Values(KeptValues):
    """Those that several nodes have: what was changed meanwhile is not written over."""

    asked = 0
    """How often a value was read."""

    async def read(self, operation: ReadNodeValue) -> bytes | None:
        self.asked += 1
        return await super().read(operation)

    async def change(self, operation: KeepNodeValue) -> None:
        before = self.values.get(operation.name)
        if operation.was != (b"" if before is None else sha256(before).digest()):
            raise StoreMovedError
        await super().change(operation)


class PlacedNodes:
    """The nodes of two databases, `main` and `west`."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.urls = {
            MAIN: server.url(emptied(server)),
            WEST: server.url(second(server)),
        }
        self.values = Values()
        self.vault = FakeVault()
        self.folder = folder
        self._opened = AsyncExitStack()
        self._lives = 0
        self.places: ProjectPlaces

    async def open(
        self,
        name: str = "one",
        urls: Mapping[str, str] | None = None,
        fences: Mapping[str, Fence] | None = None,
        cluster: str = CLUSTER,
    ) -> CalledPlacedData:
        """Return a node that has just started; what it knows of places is `places`."""
        self._lives += 1
        urls = urls or self.urls
        self.places = places = ProjectPlaces(self.values)  # type: ignore[arg-type]
        await places.load()
        bindings = await places.bindings([one for one in urls if one != MAIN])
        holder = Holder(name, str(self._lives))
        node = await CalledPlacedData.open(
            [
                Cluster(
                    Settings.of_url(url),
                    cluster,
                    holder,
                    (fences or {}).get(where),
                    bindings[where],
                    places.moves_in(where),
                )
                for where, url in urls.items()
            ],
            folders_below(self.folder / "objects"),
            self.vault.data_key,
            places,
        )
        places.on_changed = node.follow_places
        node.coordination.heed(str)
        self._opened.push_async_callback(node.close)
        return node

    def sql(self, where: str, statement: str) -> list[tuple[object, ...]]:
        database = self.urls[where].split("/", 3)[3].partition("?")[0]
        with self.server.connect(database) as connection:
            cursor = connection.execute(statement)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def take_away(self, where: str) -> None:
        """Have nobody reach a database any more."""
        name = self.urls[where].split("/", 3)[3].partition("?")[0]
        with self.server.connect("postgres") as connection:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")  # type: ignore[arg-type]
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )

    def bring_back(self, where: str) -> None:
        name = self.urls[where].split("/", 3)[3].partition("?")[0]
        with self.server.connect("postgres") as connection:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")  # type: ignore[arg-type]

    async def close(self) -> None:
        await self._opened.aclose()


def play(
    server: Server,
    folder: Path,
    scene: Callable[[PlacedNodes], Awaitable[None]],
    seconds: float = 30,
) -> None:
    """Run a scene with nodes of two empty databases."""

    async def run() -> None:
        nodes = PlacedNodes(server, folder)
        try:
            async with asyncio.timeout(seconds):
                await scene(nodes)
        finally:
            await nodes.close()

    asyncio.run(run())


class PlacedData(SharedData):
    """The data of a node of two databases, all of whose projects live in the second one."""

    def __init__(self, folder: Path, server: Server, **named: Any) -> None:
        self.nodes = PlacedNodes(server, folder)
        super().__init__(folder, url=self.nodes.urls[MAIN], **named)

    def open(self) -> None:
        async def opened() -> CalledPlacedData:
            self.nodes.vault = self.vault
            port = await self.nodes.open(self.node)
            for project in ("p", "q"):
                await self.nodes.places.place(project, WEST)
            return port

        self.port: Any = self.run(opened())

    def opened(self, project: str = "p") -> Any:
        return self.port._databases[WEST].data._open.opened[project]
