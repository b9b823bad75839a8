"""Dropping buckets, tables and queues: whether anything was in one is told with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from casemate.api.performing import Call, Performers
from casemate.model.errors import CasemateError
from casemate.model.principal import Resource, ResourceKind
from casemate.operations.declaration import Operation
from casemate.operations.items import DropTable, QueryItems
from casemate.operations.messages import DropQueue, ShowQueue
from casemate.operations.objects import DropBucket, ListObjects

performs = Performers()


@performs(DropBucket)
async def _drop_bucket(operation: DropBucket, call: Call) -> None:
    look = ListObjects(project=operation.project, bucket=operation.bucket, limit=1)
    on = Resource(kind=ResourceKind.BUCKET, project=operation.project, name=operation.bucket)
    await _drop(operation, call, on, look, lambda found: bool(found.objects))


@performs(DropTable)
async def _drop_table(operation: DropTable, call: Call) -> None:
    look = QueryItems(project=operation.project, table=operation.table, limit=1)
    on = Resource(kind=ResourceKind.TABLE, project=operation.project, name=operation.table)
    await _drop(operation, call, on, look, lambda found: bool(found.items))


@performs(DropQueue)
async def _drop_queue(operation: DropQueue, call: Call) -> None:
    look = ShowQueue(project=operation.project, queue=operation.queue)
    on = Resource(kind=ResourceKind.QUEUE, project=operation.project, name=operation.queue)
    await _drop(operation, call, on, look, lambda found: bool(found.waiting or found.dead))


async def _drop(
    operation: Operation[None],
    call: Call,
    on: Resource,
    look: Operation[Any],
    holds: Callable[[Any], bool],
) -> None:
    """Drop it, and remember if nothing was in it: that is no loss of data."""
    try:
        empty = not holds(await call.service.data.read(look))
    except CasemateError:  # what cannot be read may hold something
        empty = False
    await call.service.data.change(operation)
    if empty:
        call.empty.append(on)
