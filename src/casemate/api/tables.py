"""Operations on tables that are not the data's alone."""

from __future__ import annotations

from casemate.api.performing import Call, Performers
from casemate.capabilities.labels import FROM_API
from casemate.model.data import Item, ItemPage
from casemate.model.errors import NotFoundError
from casemate.model.principal import Action, ResourceKind
from casemate.operations.items import (
    GetItem,
    ListTables,
    PutItem,
    QueryItems,
    Tables,
    WriteItem,
    WrittenItem,
)

performs = Performers()


@performs(ListTables)
async def _list(operation: ListTables, call: Call) -> Tables:
    found = await call.service.data.read(operation)
    return Tables(
        tables=call.shown(Action.TABLE_QUERY, ResourceKind.TABLE, operation.project, found.tables)
    )


@performs(GetItem)
async def _get(operation: GetItem, call: Call) -> Item:
    try:
        return await call.service.data.read(operation)
    except NotFoundError:
        # Only where the project itself has nothing by that name: its own data comes first.
        found = call.service.decoys.item(operation)
        if found is None:
            raise
        return found


@performs(WriteItem)
async def _write(operation: WriteItem, call: Call) -> WrittenItem:
    written = await call.service.data.change(
        PutItem(
            project=operation.project,
            table=operation.table,
            content=bytes(operation.value),
            if_revision=operation.if_revision,
            labels=FROM_API,
        )
    )
    return WrittenItem(revision=written.revision, modified_at=written.modified_at)


@performs(QueryItems)
async def _query(operation: QueryItems, call: Call) -> ItemPage:
    try:
        return await call.service.data.read(operation)
    except NotFoundError:
        found = call.service.decoys.page(operation)
        if found is None:
            raise
        return found
