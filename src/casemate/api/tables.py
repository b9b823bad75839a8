"""Operations on tables that are not the data's alone."""

from __future__ import annotations

from casemate.api.performing import Call, Performers
from casemate.model.principal import Action, ResourceKind
from casemate.operations.items import ListTables, Tables

performs = Performers()


@performs(ListTables)
async def _list(operation: ListTables, call: Call) -> Tables:
    found = await call.service.data.read(operation)
    return Tables(
        tables=call.shown(Action.TABLE_QUERY, ResourceKind.TABLE, operation.project, found.tables)
    )
