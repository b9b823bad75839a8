"""`SqliteProjectData`: the port's methods, each checked and handed to a writer or reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from casemate.data import limits, resources, rotation
from casemate.data.delivery_port import DeliveryPort
from casemate.data.item_port import ItemPort
from casemate.data.message_port import MessagePort
from casemate.data.object_port import ObjectPort
from casemate.data.performing import AnswerT, perform
from casemate.data.project import OpenProject, change_resources
from casemate.data.registry import declared as declared_in
from casemate.data.registry import find, specs
from casemate.data.scrub import scrub_project
from casemate.data.snapshot import snapshot
from casemate.model.data import ObjectInfo
from casemate.model.errors import NotFoundError
from casemate.model.grant import Resources
from casemate.operations.declaration import Operation
from casemate.operations.objects import ReadObject
from casemate.vault.interface import Purpose


class SqliteProjectData(ObjectPort, ItemPort, MessagePort, DeliveryPort):
    """Satisfies `casemate.data.interface.ProjectData`, which documents the calls.

    One encrypted database for each project, and files for large objects. A change whose awaiter
    is cancelled may still be made. All calls belong to one event loop. The lock on the folder is
    inherited by fork: children must exec.
    """

    async def read(self, operation: Operation[AnswerT]) -> AnswerT:
        """Answer an operation that changes nothing."""
        return await perform(self, operation, reads=True)

    async def change(self, operation: Operation[AnswerT]) -> AnswerT:
        """Do an operation, durably."""
        return await perform(self, operation, reads=False)

    def recent(self, operation: ReadObject) -> tuple[ObjectInfo, bytes] | None:
        """Return the present revision if that takes no waiting."""
        return self.get_recent_object(
            operation.project,
            operation.bucket,
            operation.key,
            offset=operation.offset,
            length=operation.length,
        )

    async def ensure(self, project: str, declared: Resources) -> None:
        """Make what is declared and missing, and change limits to what is declared."""
        limits.require_project(project)
        resources.require_valid(declared)
        if not any(specs(declared)):
            return
        async with self._projects.use(project, create=True) as opened:
            await opened.writer.submit_job(
                change_resources(
                    opened,
                    lambda connection, registry: resources.ensure(connection, registry, declared),
                )
            )

    async def resources(self, project: str) -> Resources:
        """Return what a project has."""
        limits.require_project(project)
        try:
            async with self._projects.use(project) as opened:
                return declared_in(opened.registry)
        except NotFoundError:
            return Resources()

    def open_projects(self) -> list[str]:
        """Return the names of the projects that are open now."""
        return list(self._projects.opened)

    async def probe(self, project: str) -> None:
        """Read something of a project that is open. Raises what every reader would meet.

        That does not count as a use: one that nobody else uses is closed all the same.
        """
        opened = self._projects.opened.get(project)
        if opened is None:
            return
        opened.users += 1
        try:
            await opened.read(lambda c: c.execute("SELECT count(*) FROM sqlite_master").fetchone())
        finally:
            opened.users -= 1
            if not opened.users:
                self._projects.released.set()

    async def drop(self, project: str, kind: str, name: str) -> None:
        """Delete a resource with all that is in it."""
        limits.require_project(project)
        async with self._projects.use(project) as opened:
            opened.resource(kind, name)
            await opened.writer.submit_job(
                change_resources(
                    opened,
                    lambda connection, registry: resources.drop(
                        connection, find(registry, project, kind, name)
                    ),
                )
            )

    async def rekey(self, project: str) -> None:
        """Encrypt what is stored with the newest data keys."""
        limits.require_project(project)
        async with self._projects.use(project) as opened:
            await rotation.rekey(opened, self._projects.folder, self._keys, self._options)

    def projects(self) -> list[str]:
        """Return the projects that have a database. Blocks. Raises OSError."""
        return self._projects.folder.projects()

    def set_aside(self, project: str) -> None:
        """Move away what is left of a project whose database is accepted as lost. Blocks."""
        self._projects.folder.set_aside(project)

    async def scrub(self, project: str, pace: Callable[[int], None]) -> tuple[str, ...]:
        """Read all of a project's data; return what is wrong with it. Raises DataError."""
        limits.require_project(project)

        async def fetch(opened: OpenProject, version: int) -> None:
            opened.add_key(await self._keys(project, Purpose.OBJECTS, version), newest=False)

        return await scrub_project(self._projects, project, pace, fetch)

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong, in words."""
        return self._projects.faults()

    async def snapshot(self, folder: Path) -> None:
        """Copy everything into `folder`, each project as it is at one moment."""
        await snapshot(self._projects, folder)

    async def close(self) -> None:
        """Write what is queued and release the files."""
        await self._uploads.close()
        await self._projects.close()
