"""`SqliteProjectData`: the port on one encrypted database for each project."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from casemate.blobs import Blobs
from casemate.data import limits
from casemate.data.coordination import ALONE
from casemate.data.databases import SqliteDatabases
from casemate.data.folder import DataFolder
from casemate.data.kept import DiskReserve
from casemate.data.limits import DataOptions
from casemate.data.ports import PERFORMED, Ports
from casemate.data.projects import Created, Keys, Projects
from casemate.data.rotation import rekey
from casemate.data.scrub import damaged_file, scrub_project
from casemate.data.snapshot import snapshot
from casemate.data.sqlite_project import SqliteProject
from casemate.data.starts import Starts
from casemate.model.integrity import Damaged
from casemate.operations.declaration import Operation
from casemate.vault.interface import Purpose

AnswerT = TypeVar("AnswerT")


class SqliteProjectData(Ports):
    """Satisfies `casemate.data.interface.ProjectData`, which documents the calls.

    One encrypted database for each project, and files for large objects. A change whose awaiter
    is cancelled may still be made. All calls belong to one event loop. The lock on the folder is
    inherited by fork: children must exec.
    """

    coordination = ALONE

    def __init__(
        self,
        folder: Path,
        keys: Keys,
        options: DataOptions | None = None,
        *,
        accepted_losses: frozenset[str] = frozenset(),
        on_created: Created | None = None,
        blobs: Callable[[str], Blobs] | None = None,
        starts: Starts | None = None,
    ) -> None:
        """Lock `folder`, made where it is missing; `keys` is the vault's `data_key`.

        Projects in `accepted_losses` are opened once without the commits that their log has lost.
        `on_created` is awaited when a project has got its database, before anything is kept in it.
        `blobs` opens the place of a project's large objects; none: files below `folder`.
        `starts` remembers when each was opened or changed last; without, none is too old.

        Raises DataLockedError if another process has it, DataForeignError, DataError.
        """
        self._options = options or DataOptions()
        self._folder = DataFolder(folder)
        databases = SqliteDatabases(self._folder, self._options, accepted_losses, blobs, starts)
        self._starts = starts
        self._open = Projects(databases, keys, self._options, on_created, self._opened)
        super().__init__(self._open, keys, DiskReserve(folder), claimant=secrets.token_hex(8))

    # Both return what awaits the answer: a coroutine of their own would be one more for each step.

    def read(self, operation: Operation[AnswerT]) -> Coroutine[Any, Any, AnswerT]:
        """Answer an operation that changes nothing."""
        return PERFORMED.reading(operation)(self, operation)

    def change(self, operation: Operation[AnswerT]) -> Coroutine[Any, Any, AnswerT]:
        """Do an operation, durably."""
        return PERFORMED.changing(operation)(self, operation)

    def _opened(self, project: SqliteProject) -> None:
        if self._starts is not None and project.marked:
            self._starts.note(project.name, project.marked)

    def projects(self) -> list[str]:
        """Return the projects that have a database. Blocks. Raises OSError."""
        return self._folder.projects()

    def sizes(self) -> dict[str, int]:
        """Return how many bytes each project keeps on the disk. Blocks. Raises OSError."""
        return self._folder.sizes()

    def set_aside(self, project: str) -> None:
        """Move away what is left of a project whose database is accepted as lost. Blocks."""
        self._folder.set_aside(project)

    async def _renew_keys(self, project: str) -> None:
        async with self._open.use(project) as opened:
            await rekey(opened, self._folder, self._keys, self._options)

    async def scrub(self, project: str, pace: Callable[[int], None]) -> tuple[str | Damaged, ...]:
        """Read all of a project's data; return what is wrong with it. Raises DataError."""
        limits.require_project(project)

        async def fetch(opened: SqliteProject, version: int) -> None:
            opened.add_key(await self._keys(project, Purpose.OBJECTS, version), newest=False)

        return await scrub_project(
            self._open, project, pace, fetch, lambda opened: damaged_file(opened, pace)
        )

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong, in words."""
        return self._projects.faults()

    async def snapshot(self, folder: Path) -> None:
        """Copy the data of all projects into `folder`, each as it is at one moment, for backups.

        Leaves there what a data folder has: databases, and files of objects below `objects/`, all
        encrypted as they are. Calls go on meanwhile.
        """
        await snapshot(self._open, self._folder, folder)
