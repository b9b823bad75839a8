"""`PostgresqlProjectData`: the port on a PostgreSQL that many nodes write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from casemate.blobs import Blobs
from casemate.data.limits import DataOptions, require_project
from casemate.data.ports import PERFORMED, Ports
from casemate.data.postgresql.coordinator import Coordinator
from casemate.data.postgresql.databases import Cluster, PostgresqlDatabases
from casemate.data.postgresql.project import PostgresqlProject
from casemate.data.postgresql.rotation import rekey
from casemate.data.postgresql.scrub import wrong_values
from casemate.data.postgresql.sealing import MissingValueKeyError
from casemate.data.projects import Created, Keys, Projects
from casemate.data.scrub import scrub_project
from casemate.model.errors import NotFoundError
from casemate.model.integrity import Damaged
from casemate.operations.declaration import Operation
from casemate.vault.interface import Purpose

AnswerT = TypeVar("AnswerT")

_TRIES = 5


class _Room:
    """The server keeps room free itself, or says that it is full."""

    def require(self) -> None:
        """Refuse nothing."""


class PostgresqlProjectData(Ports):
    """Satisfies `casemate.data.interface.ProjectData`, which documents the calls.

    One schema for each project, which any number of nodes write; `open` makes one. A change whose
    awaiter is cancelled may still be made. All calls belong to one event loop.
    """

    def __init__(
        self,
        databases: PostgresqlDatabases,
        cluster: Cluster,
        keys: Keys,
        options: DataOptions,
        on_created: Created | None = None,
    ) -> None:
        """Keep what is asked in `databases`; `keys` is the vault's `data_key`."""
        self._databases = databases
        self._open = Projects(databases, keys, options, on_created)
        super().__init__(self._open, keys, _Room(), claimant="/".join(cluster.holder))
        self.coordination = Coordinator(databases.catalogue, cluster.holder, self._open.announce)
        databases.tell_others = self.coordination.tell

    @classmethod
    async def open(
        cls,
        cluster: Cluster,
        blobs: Callable[[str], Blobs],
        keys: Keys,
        options: DataOptions | None = None,
        *,
        on_created: Created | None = None,
    ) -> PostgresqlProjectData:
        """Connect to the cluster's database. Raises as `casemate.postgresql` does.

        `blobs` opens the place of a project's large objects, which all nodes see.
        """
        given = options or DataOptions()
        databases = await asyncio.to_thread(PostgresqlDatabases, cluster, blobs, given)
        made = cls(databases, cluster, keys, given, on_created)
        try:
            await made.coordination.begin()
        except BaseException:
            await made.close()
            raise
        return made

    async def close(self) -> None:
        """Write what is queued, let go of the projects, and be none of their nodes any more."""
        await super().close()
        await self.coordination.close()

    async def read(self, operation: Operation[AnswerT]) -> AnswerT:
        """Answer an operation that changes nothing."""
        return await self._perform(PERFORMED.reading(operation), operation)

    async def change(self, operation: Operation[AnswerT]) -> AnswerT:
        """Do an operation, durably."""
        return await self._perform(PERFORMED.changing(operation), operation)

    async def _perform(self, perform: Callable[..., Any], operation: Operation[AnswerT]) -> AnswerT:
        """Do it; again with what another node has made or sealed in the meantime."""
        for _ in range(_TRIES):
            try:
                return await perform(self, operation)  # type: ignore[no-any-return]
            except MissingValueKeyError as error:
                if not await self._fetch(operation, error.version):
                    raise
            except NotFoundError:
                if not await self._learn(operation):
                    raise
        return await perform(self, operation)  # type: ignore[no-any-return]

    async def _fetch(self, operation: Operation[Any], version: int) -> bool:
        name = _project_of(operation)
        key = await self._keys(name, Purpose.DATA, version)
        known = self._databases.older.setdefault(name, {})
        project = self._open.opened.get(name)
        if project is not None:
            project.shared.sealer.add(key)
        elif version in known:
            return False
        known[version] = key
        return True

    async def _learn(self, operation: Operation[Any]) -> bool:
        """Tell whether another node has changed what the project has."""
        project: PostgresqlProject | None = self._open.opened.get(_project_of(operation))
        if project is None:
            return False
        return await project.read(project.learn)

    async def _renew_keys(self, project: str) -> None:
        async with self._open.use(project) as opened:
            await rekey(opened, self._keys)

    async def take_newest_keys(self) -> None:
        """Seal with the keys that are newest now in the projects that are open.

        Another node may have made them. Raises VaultError, of the vault's `data_key`.
        """
        for name, opened in list(self._open.opened.items()):
            opened.shared.sealer.add(await self._keys(name, Purpose.DATA, None))
            key = await self._keys(name, Purpose.OBJECTS, None)
            if key.version > opened.newest_key.version:
                opened.add_key(key, newest=True)

    @property
    def databases(self) -> PostgresqlDatabases:
        """Where its projects are."""
        return self._databases

    async def let_go(self, project: str) -> None:
        """Close a project that is open: it lives elsewhere."""
        await self._open.let_go(project)

    async def scrub(self, project: str, pace: Callable[[int], None]) -> tuple[str | Damaged, ...]:
        """Read all of a project's data; return what is wrong with it. Raises DataError."""
        require_project(project)

        async def fetch(opened: PostgresqlProject, version: int) -> None:
            opened.add_key(await self._keys(project, Purpose.OBJECTS, version), newest=False)

        async def stored(opened: PostgresqlProject) -> list[str | Damaged]:
            async def fetch_value_key(version: int) -> None:
                opened.shared.sealer.add(await self._keys(project, Purpose.DATA, version))

            return await wrong_values(opened, pace, fetch_value_key)

        return await scrub_project(self._open, project, pace, fetch, stored)

    def sizes(self) -> dict[str, int]:
        """Return how many bytes each project keeps, in the database and beside it. Blocks."""
        return self._databases.sizes()

    def has(self, project: str) -> bool:
        """Tell whether a project has data here. Blocks."""
        return self._databases.has(project)

    def projects(self) -> list[str]:
        """Return the projects that have data. Blocks."""
        return self._databases.projects()

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong, in words."""
        return (
            *self._databases.faults(),
            *self.coordination.faults(),
            *self._open.faults(),
        )


def _project_of(operation: Operation[Any]) -> str:
    return str(getattr(operation, "project", ""))
