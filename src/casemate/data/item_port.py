"""The port's calls about items, each checked and handed to a writer or reader."""

from __future__ import annotations

from casemate.data import attributes, limits, tables
from casemate.data.port import Port
from casemate.data.queries import Query
from casemate.data.registry import TABLE
from casemate.model.data import Item, ItemPage, Range


class ItemPort(Port):
    """Items in tables. `casemate.data.interface.ProjectData` documents the calls."""

    async def put_item(
        self,
        project: str,
        table: str,
        value: dict[str, object],
        *,
        if_revision: int | None = None,
        labels: bytes = b"",
    ) -> Item:
        """Write an item whole."""
        self._disk.require()
        limits.require_labels(labels)
        limits.require_revision(if_revision, least=0)
        encoded = attributes.encode_item(value)
        async with self._projects.use(project) as opened:
            opened.resource(TABLE, table)
            if attributes.quick_to_check(encoded):
                attributes.require_item(value)
            else:
                await self._projects.in_thread(lambda: attributes.require_item(value))
            return await opened.change(
                lambda work: tables.put(
                    work,
                    opened.resource(TABLE, table),
                    opened.fanout,
                    value,
                    encoded,
                    if_revision,
                    labels,
                )
            )

    async def get_item(
        self, project: str, table: str, key: str | float, sort: str | float | None = None
    ) -> Item:
        """Return an item."""
        async with self._projects.use(project) as opened:
            found = opened.resource(TABLE, table)
            return await opened.read(lambda connection: tables.get(connection, found, key, sort))

    async def delete_item(
        self,
        project: str,
        table: str,
        key: str | float,
        sort: str | float | None = None,
        *,
        if_revision: int | None = None,
    ) -> None:
        """Delete an item."""
        limits.require_revision(if_revision, least=0)
        async with self._projects.use(project) as opened:
            await opened.change(
                lambda work: tables.delete(
                    work, opened.resource(TABLE, table), opened.fanout, key, sort, if_revision
                )
            )

    async def query_items(
        self,
        project: str,
        table: str,
        *,
        key: str | float | None = None,
        index: str | None = None,
        sort: Range | None = None,
        after: str | None = None,
        limit: int = 100,
        descending: bool = False,
    ) -> ItemPage:
        """Return a page of items."""
        limits.require_limit(limit)
        async with self._projects.use(project) as opened:
            query = Query(
                opened.resource(TABLE, table),
                key=key,
                index=index,
                sort=sort,
                after=after,
                limit=limit,
                descending=descending,
                secret=opened.marks_key,
            )
            return await opened.read(query.run)
