"""The operations on items, each checked and handed to a writer or reader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from casemate.data import limits, tables
from casemate.data.item_content import read_item
from casemate.data.port import Port
from casemate.data.project import OpenProject
from casemate.data.queries import Query
from casemate.data.registry import TABLE, Resource
from casemate.data.work import Work
from casemate.model.data import Item, ItemPage
from casemate.model.tracing import AMBIENT
from casemate.operations.items import DeleteItem, GetItem, PutItem, QueryItems
from casemate.operations.performing import Performers
from casemate.sqlite.engine import Connection
from casemate.sqlite.joint import Joint

performs = Performers()


class ItemPort(Port):
    """Items in tables."""

    @performs(PutItem)
    async def _put_item(self, operation: PutItem) -> Item:
        self._disk.require()
        if_revision, labels = operation.if_revision, operation.labels
        limits.require_labels(labels)
        limits.require_revision(if_revision, least=0)
        value, encoded = await read_item(operation.content, self._large_items)
        async with self._projects.use(operation.project) as opened:
            opened.resource(TABLE, operation.table)
            put = tables.Put(value, encoded, if_revision, labels, AMBIENT.get())
            item: Item = await opened.join(_joint(opened, operation.table, put, len(encoded)))
            return item

    @performs(GetItem)
    async def _get_item(self, operation: GetItem) -> Item:
        key, sort = operation.key, operation.sort
        async with self._projects.use(operation.project) as opened:
            return await opened.read_of(
                TABLE,
                operation.table,
                lambda connection, table: tables.get(connection, table, key, sort),
            )

    @performs(DeleteItem)
    async def _delete_item(self, operation: DeleteItem) -> None:
        limits.require_revision(operation.if_revision, least=0)
        async with self._projects.use(operation.project) as opened:
            deleted = tables.Delete(
                operation.key, operation.sort, operation.if_revision, AMBIENT.get()
            )
            await opened.join(_joint(opened, operation.table, deleted, 0))

    @performs(QueryItems)
    async def _query_items(self, operation: QueryItems) -> ItemPage:
        limits.require_limit(operation.limit)
        async with self._projects.use(operation.project) as opened:

            def ask(connection: Connection, table: Resource) -> ItemPage:
                return Query(
                    table,
                    key=operation.key,
                    index=operation.index,
                    sort=operation.sort,
                    after=operation.after,
                    limit=operation.limit,
                    descending=operation.descending,
                    secret=opened.marks_key,
                ).run(connection)

            return await opened.read_of(TABLE, operation.table, ask)


def _joint(
    opened: OpenProject, table: str, change: tables.Put | tables.Delete, weight: int
) -> Joint[Work]:
    def make(work: Work, changes: Sequence[tables.Put | tables.Delete]) -> Sequence[Any]:
        resource = opened.resource(TABLE, table)
        return tables.change_each(work, resource, opened.fanout, changes)

    return Joint((TABLE, table), change, make, weight)
