"""What the tests of projects' data share: a vault in memory, a clock, and an opened folder."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from casemate import set_clock
from casemate.blobs import Blobs
from casemate.data import (
    DataOptions,
    Fate,
    Message,
    Settlement,
    messages,
    terms,
)
from casemate.data.files import folders_below
from casemate.data.postgresql.clock import ServerClock
from casemate.data.postgresql.databases import Cluster
from casemate.data.terms import Holder
from casemate.model.grant import BucketSpec, QueueSpec, Resources, TableIndex, TableSpec
from casemate.postgresql.settings import Settings
from casemate.vault.interface import DataKey, Purpose
from support.data_calls import CalledData, CalledSharedData
from support.database import Server
from support.set_time import Clock

RESOURCES = Resources(
    buckets=(
        BucketSpec(name="files"),
        BucketSpec(name="other"),
        BucketSpec(name="kept", versions=3),
        BucketSpec(name="small", max_object=100, max_total=250),
    ),
    tables=(
        TableSpec(name="plain", key="id", max_item=3000),
        TableSpec(
            name="sorted",
            key="id",
            sort="at",
            ttl="until",
            indexes=(
                TableIndex(name="by-colour", key="colour"),
                TableIndex(name="by-colour-size", key="colour", sort="size"),
            ),
        ),
    ),
    queues=(QueueSpec(name="jobs", retention=1000.0, max_message=200), QueueSpec(name="rest")),
    topics=(QueueSpec(name="jobs"),),
)


CLUSTER = "the-cluster"
TIMED = (terms, set_clock)
"""The modules that ask what time it is."""


class FakeVault:
    """Makes keys out of names; `versions` is the newest of each project."""

    def __init__(self, seed: str = "seed") -> None:
        self.seed = seed
        self.newest = 1
        self.asked: list[tuple[str, Purpose, int | None]] = []

    async def data_key(self, project: str, purpose: Purpose, version: int | None = None) -> DataKey:
        self.asked.append((project, purpose, version))
        version = version or self.newest
        text = f"{self.seed}/{project}/{purpose}/{version}"
        return DataKey(version=version, key=hashlib.sha256(text.encode()).digest())


class FrozenClock:
    """Has the modules that ask what time it is ask a clock of a test."""

    def __init__(self, clock: Clock) -> None:
        self._patches = [patch.object(module, "time", clock) for module in TIMED]
        self._patches.append(patch.object(ServerClock, "learn", lambda _, told: clock.now))
        self._patches.append(patch.object(ServerClock, "now", lambda _: clock.now))

    def start(self) -> None:
        for patched in self._patches:
            patched.start()

    def stop(self) -> None:
        for patched in self._patches:
            patched.stop()


def end_of(message: Message, fate: Fate, **fields: Any) -> Settlement:
    """Return the end of the attempt that a lease of a message was for."""
    return Settlement(
        id=message.id, fence=message.fence, attempt=message.attempts, fate=fate, **fields
    )


class Data:
    """Calls the data of one folder from tests that are not asynchronous."""

    def __init__(
        self,
        folder: Path,
        vault: FakeVault | None = None,
        options: DataOptions | None = None,
        resources: Resources | None = RESOURCES,
        blobs: Callable[[str], Blobs] | None = None,
    ) -> None:
        self.folder = folder
        self.blobs = blobs
        self.vault = vault or FakeVault()
        self.options = options or DataOptions()
        self.runner = asyncio.Runner()
        self.open()
        if resources is not None:
            self.run(self.port.ensure("p", resources))

    def open(self) -> None:
        async def make() -> CalledData:
            return CalledData(self.folder, self.vault.data_key, self.options, blobs=self.blobs)

        self.port = self.run(make())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.port, name)
        return lambda *arguments, **named: self.run(method(*arguments, **named))

    def reopen(self) -> None:
        self.run(self.port.close())
        self.open()

    def take_over(self) -> None:
        """Be the next life of this node, where that matters to leases."""

    def opened(self, project: str = "p") -> Any:
        return self.port._projects.opened[project]

    def sweep(self, project: str = "p") -> None:
        """Run sweeps until there is nothing more to do."""

        async def sweep() -> None:
            opened = self.opened(project)
            while await opened.change(opened.sweep):
                pass

        self.run(sweep())

    def stored_messages(self, project: str = "p") -> list[tuple[int, bytes]]:
        """Return number and body of all messages, in the order of their numbers."""

        def ask(connection: Any) -> list[tuple[int, bytes]]:
            rows = connection.execute(f"SELECT queue, {messages.COLUMNS} FROM message ORDER BY id")
            owned = [(SimpleNamespace(id=queue), row) for queue, *row in rows]
            opened = terms.terms_of(connection)
            return [(row[0], messages.message(opened, queue, row).body) for queue, row in owned]

        async def read() -> list[tuple[int, bytes]]:
            return await self.opened(project).read(ask)

        return self.run(read())

    def files(self, project: str = "p") -> list[Path]:
        return sorted((self.folder / "objects" / project).iterdir())

    def finish(self) -> None:
        self.run(self.port.close())
        self.runner.close()


class SharedData(Data):
    """The same in a PostgreSQL, as one node of those that have it."""

    def __init__(
        self,
        folder: Path,
        vault: FakeVault | None = None,
        options: DataOptions | None = None,
        resources: Resources | None = RESOURCES,
        *,
        url: str,
        node: str = "one",
        blobs: Callable[[str], Blobs] | None = None,
    ) -> None:
        self.url = url
        self.node = node
        self.life = 0
        super().__init__(folder, vault, options, resources, blobs)

    def open(self) -> None:
        self.life += 1
        cluster = Cluster(Settings.of_url(self.url), CLUSTER, Holder(self.node, str(self.life)))
        self.port = self.run(
            CalledSharedData.open(
                cluster,
                self.blobs or folders_below(self.folder / "objects"),
                self.vault.data_key,
                self.options,
            )
        )

    def take_over(self) -> None:
        self.reopen()


_EMPTIED: dict[Server, str] = {}


def emptied(server: Server) -> str:
    """Return a database of a server that has nothing: a new one costs more."""
    name = _EMPTIED.get(server)
    if name is None:
        name = _EMPTIED[server] = server.database()
    with server.connect(name) as connection:
        # A node that "died" in the test before may be about to ask for what is dropped here.
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        schemas = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname ~ '^(casemate|[pq]_|m[0-9]|away)'"
        ).fetchall()
        for (schema,) in schemas:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")  # type: ignore[arg-type]
    return name


def shared(server: Server, folder: Path, **named: Any) -> SharedData:
    """Return the data in a database that has nothing."""
    return SharedData(folder, url=server.url(emptied(server)), **named)
