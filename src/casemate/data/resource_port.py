"""The operations on what a project has as a whole: made, listed, dropped, encrypted anew."""

from __future__ import annotations

from casemate.data import limits, resources
from casemate.data.creating import creates
from casemate.data.port import Port
from casemate.data.project import change_resources
from casemate.data.registry import BUCKET, INBOX, QUEUE, TABLE, TOPIC, find
from casemate.data.registry import declared as declared_in
from casemate.model.errors import NotFoundError
from casemate.model.grant import Resources
from casemate.operations.inboxes import DropInbox
from casemate.operations.items import DropTable, ListTables, Tables
from casemate.operations.messages import DropQueue, DropTopic, ListQueues, Queues
from casemate.operations.objects import Buckets, DropBucket, ListBuckets
from casemate.operations.performing import Performers
from casemate.operations.resources import EnsureResources, RekeyProject, ShowResources

performs = Performers()


class ResourcePort(Port):
    """Buckets, tables, queues, topics and inboxes, and the keys of all that is in them."""

    @performs(EnsureResources)
    async def _ensure(self, operation: EnsureResources) -> None:
        declared = operation.resources
        limits.require_project(operation.project)
        resources.require_valid(declared)
        if not creates(operation):
            return
        async with self._projects.use(operation.project, create=True) as opened:
            await opened.writer.submit_job(
                change_resources(
                    opened,
                    lambda connection, registry: resources.ensure(connection, registry, declared),
                )
            )

    @performs(ShowResources)
    async def _show_resources(self, operation: ShowResources) -> Resources:
        return await self._present(operation.project)

    async def _present(self, project: str) -> Resources:
        limits.require_project(project)
        try:
            async with self._projects.use(project) as opened:
                return declared_in(await opened.present())
        except NotFoundError:
            return Resources()

    @performs(ListBuckets)
    async def _list_buckets(self, operation: ListBuckets) -> Buckets:
        return Buckets(buckets=(await self._present(operation.project)).buckets)

    @performs(ListTables)
    async def _list_tables(self, operation: ListTables) -> Tables:
        return Tables(tables=(await self._present(operation.project)).tables)

    @performs(ListQueues)
    async def _list_queues(self, operation: ListQueues) -> Queues:
        found = await self._present(operation.project)
        return Queues(queues=found.queues, topics=found.topics)

    @performs(DropBucket)
    async def _drop_bucket(self, operation: DropBucket) -> None:
        await self._drop(operation.project, BUCKET, operation.bucket)
        self._projects.damaged.changed(operation.project, operation.bucket)

    @performs(DropTable)
    async def _drop_table(self, operation: DropTable) -> None:
        await self._drop(operation.project, TABLE, operation.table)

    @performs(DropQueue)
    async def _drop_queue(self, operation: DropQueue) -> None:
        await self._drop(operation.project, QUEUE, operation.queue)

    @performs(DropTopic)
    async def _drop_topic(self, operation: DropTopic) -> None:
        await self._drop(operation.project, TOPIC, operation.topic)

    @performs(DropInbox)
    async def _drop_inbox(self, operation: DropInbox) -> None:
        await self._drop(operation.project, INBOX, operation.function)

    async def _drop(self, project: str, kind: str, name: str) -> None:
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

    @performs(RekeyProject)
    async def _rekey(self, operation: RekeyProject) -> None:
        limits.require_project(operation.project)
        await self._renew_keys(operation.project)
