"""The operations on items, each checked and handed to a writer or reader."""

from __future__ import annotations

from casemate.data import attributes, limits, tables
from casemate.data.port import Port
from casemate.data.queries import Query
from casemate.data.registry import TABLE
from casemate.model.data import Item, ItemPage
from casemate.operations.items import DeleteItem, GetItem, PutItem, QueryItems
from casemate.operations.performing import Performers

performs = Performers()


class ItemPort(Port):
    """Items in tables."""

    @performs(PutItem)
    async def _put_item(self, operation: PutItem) -> Item:
        self._disk.require()
        value, if_revision, labels = operation.value, operation.if_revision, operation.labels
        limits.require_labels(labels)
        limits.require_revision(if_revision, least=0)
        encoded = attributes.encode_item(value)
        async with self._projects.use(operation.project) as opened:
            opened.resource(TABLE, operation.table)
            if attributes.quick_to_check(encoded):
                attributes.require_item(value)
            else:
                await self._projects.in_thread(lambda: attributes.require_item(value))
            return await opened.change(
                lambda work: tables.put(
                    work,
                    opened.resource(TABLE, operation.table),
                    opened.fanout,
                    value,
                    encoded,
                    if_revision,
                    labels,
                )
            )

    @performs(GetItem)
    async def _get_item(self, operation: GetItem) -> Item:
        key, sort = operation.key, operation.sort
        async with self._projects.use(operation.project) as opened:
            found = opened.resource(TABLE, operation.table)
            return await opened.read(lambda connection: tables.get(connection, found, key, sort))

    @performs(DeleteItem)
    async def _delete_item(self, operation: DeleteItem) -> None:
        limits.require_revision(operation.if_revision, least=0)
        async with self._projects.use(operation.project) as opened:
            await opened.change(
                lambda work: tables.delete(
                    work,
                    opened.resource(TABLE, operation.table),
                    opened.fanout,
                    operation.key,
                    operation.sort,
                    operation.if_revision,
                )
            )

    @performs(QueryItems)
    async def _query_items(self, operation: QueryItems) -> ItemPage:
        limits.require_limit(operation.limit)
        async with self._projects.use(operation.project) as opened:
            query = Query(
                opened.resource(TABLE, operation.table),
                key=operation.key,
                index=operation.index,
                sort=operation.sort,
                after=operation.after,
                limit=operation.limit,
                descending=operation.descending,
                secret=opened.marks_key,
            )
            return await opened.read(query.run)
