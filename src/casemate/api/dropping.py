"""Dropping buckets, tables, queues and topics, and emptying them: what held nothing is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from casemate.api.performing import Call, Performers
from casemate.model.errors import CasemateError
from casemate.model.messages import QueueInfo
from casemate.operations.declaration import Operation
from casemate.operations.form import form_of
from casemate.operations.items import DropTable, QueryItems
from casemate.operations.messages import (
    DropQueue,
    DropTopic,
    Purged,
    PurgeQueue,
    PurgeTopic,
    ShowQueue,
    ShowTopic,
)
from casemate.operations.objects import DropBucket, ListObjects

performs = Performers()


@performs(DropBucket)
async def _drop_bucket(operation: DropBucket, call: Call) -> None:
    look = ListObjects(project=operation.project, bucket=operation.bucket, limit=1)
    await _drop(operation, call, look, lambda found: bool(found.objects))


@performs(DropTable)
async def _drop_table(operation: DropTable, call: Call) -> None:
    look = QueryItems(project=operation.project, table=operation.table, limit=1)
    await _drop(operation, call, look, lambda found: bool(found.items))


@performs(DropQueue)
async def _drop_queue(operation: DropQueue, call: Call) -> None:
    look = ShowQueue(project=operation.project, queue=operation.queue)
    await _drop(operation, call, look, _has_messages)


@performs(DropTopic)
async def _drop_topic(operation: DropTopic, call: Call) -> None:
    look = ShowTopic(project=operation.project, topic=operation.topic)
    await _drop(operation, call, look, _has_messages)


def _has_messages(found: QueueInfo) -> bool:
    return bool(found.waiting or found.dead)


@performs(PurgeQueue)
async def _purge_queue(operation: PurgeQueue, call: Call) -> Purged:
    return await _purge(operation, call)


@performs(PurgeTopic)
async def _purge_topic(operation: PurgeTopic, call: Call) -> Purged:
    return await _purge(operation, call)


async def _purge(operation: Operation[Purged], call: Call) -> Purged:
    purged = await call.service.data.change(operation)
    if not purged.deleted:
        _was_empty(operation, call)
    return purged


async def _drop(
    operation: Operation[None],
    call: Call,
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
        _was_empty(operation, call)


def _was_empty(operation: Operation[Any], call: Call) -> None:
    call.empty.append(form_of(type(operation)).scope(operation))
