"""What each operation on data asks of the adapter: the two calls that the port is reached by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from casemate.model.data import ObjectInfo
from casemate.operations import items, messages, objects
from casemate.operations.declaration import Effect, Operation
from casemate.operations.form import form_of

if TYPE_CHECKING:
    from casemate.data.sqlite import SqliteProjectData

AnswerT = TypeVar("AnswerT")
_Perform = Callable[["SqliteProjectData", Any], Awaitable[Any]]


async def perform(
    data: SqliteProjectData, operation: Operation[AnswerT], *, reads: bool
) -> AnswerT:
    """Do an operation, which must be one that reads if `reads`, else one that changes."""
    kind = type(operation)
    if (form_of(kind).effect is Effect.READ) is not reads:
        raise TypeError(f"{kind.__name__} is asked for by the wrong one of `read` and `change`.")
    answer: AnswerT = await _PERFORM[kind](data, operation)
    return answer


# -- objects -------------------------------------------------------------------------------------


async def _buckets(d: SqliteProjectData, o: objects.ListBuckets) -> objects.Buckets:
    return objects.Buckets(buckets=(await d.resources(o.project)).buckets)


async def _drop_bucket(d: SqliteProjectData, o: objects.DropBucket) -> None:
    await d.drop(o.project, "bucket", o.bucket)


async def _read_object(d: SqliteProjectData, o: objects.ReadObject) -> tuple[ObjectInfo, bytes]:
    return await d.get_object(
        o.project, o.bucket, o.key, revision=o.revision, offset=o.offset, length=o.length
    )


async def _head_object(d: SqliteProjectData, o: objects.HeadObject) -> ObjectInfo:
    return await d.head_object(o.project, o.bucket, o.key, o.revision)


async def _put_object(d: SqliteProjectData, o: objects.WriteObject) -> ObjectInfo:
    return await d.put_object(
        o.project,
        o.bucket,
        o.key,
        o.content,
        content_type=o.content_type,
        metadata=o.metadata,
        if_revision=o.if_revision,
        labels=o.labels,
    )


async def _begin_object(d: SqliteProjectData, o: objects.BeginObject) -> objects.Upload:
    upload = await d.begin_object(
        o.project, o.bucket, o.key, content_type=o.content_type, metadata=o.metadata or {}
    )
    return objects.Upload(upload=upload)


async def _add_part(d: SqliteProjectData, o: objects.AddPart) -> objects.Received:
    return objects.Received(size=await d.add_part(o.project, o.bucket, o.upload, o.content))


async def _commit_object(d: SqliteProjectData, o: objects.CommitObject) -> ObjectInfo:
    return await d.commit_object(
        o.project, o.bucket, o.upload, if_revision=o.if_revision, labels=o.labels
    )


async def _abort_object(d: SqliteProjectData, o: objects.AbortObject) -> None:
    await d.abort_object(o.project, o.bucket, o.upload)


async def _delete_object(d: SqliteProjectData, o: objects.DeleteObject) -> None:
    await d.delete_object(o.project, o.bucket, o.key, if_revision=o.if_revision)


async def _list_objects(d: SqliteProjectData, o: objects.ListObjects) -> Any:
    return await d.list_objects(
        o.project,
        o.bucket,
        prefix=o.prefix,
        after=o.after,
        limit=o.limit,
        delimiter=o.delimiter,
    )


async def _revisions(d: SqliteProjectData, o: objects.ListRevisions) -> objects.ObjectRevisions:
    found = await d.object_revisions(o.project, o.bucket, o.key)
    return objects.ObjectRevisions(revisions=found)


# -- items ---------------------------------------------------------------------------------------


async def _tables(d: SqliteProjectData, o: items.ListTables) -> items.Tables:
    return items.Tables(tables=(await d.resources(o.project)).tables)


async def _drop_table(d: SqliteProjectData, o: items.DropTable) -> None:
    await d.drop(o.project, "table", o.table)


async def _get_item(d: SqliteProjectData, o: items.GetItem) -> Any:
    return await d.get_item(o.project, o.table, o.key, o.sort)


async def _put_item(d: SqliteProjectData, o: items.PutItem) -> Any:
    return await d.put_item(o.project, o.table, o.value, if_revision=o.if_revision, labels=o.labels)


async def _delete_item(d: SqliteProjectData, o: items.DeleteItem) -> None:
    await d.delete_item(o.project, o.table, o.key, o.sort, if_revision=o.if_revision)


async def _query_items(d: SqliteProjectData, o: items.QueryItems) -> Any:
    return await d.query_items(
        o.project,
        o.table,
        key=o.key,
        index=o.index,
        sort=o.sort,
        after=o.after,
        limit=o.limit,
        descending=o.descending,
    )


# -- messages ------------------------------------------------------------------------------------


async def _queues(d: SqliteProjectData, o: messages.ListQueues) -> messages.Queues:
    found = await d.resources(o.project)
    return messages.Queues(queues=found.queues, topics=found.topics)


async def _send(d: SqliteProjectData, o: messages.SendMessage) -> messages.Sent:
    identity = await d.send(
        o.project,
        "queue",
        o.queue,
        o.content,
        delay=o.delay,
        deduplication=o.deduplication,
        key=o.key,
        priority=o.priority,
        labels=o.labels,
        attributes=o.attributes,
    )
    return messages.Sent(id=identity)


async def _publish(d: SqliteProjectData, o: messages.PublishMessage) -> messages.Sent:
    identity = await d.send(
        o.project,
        "topic",
        o.topic,
        o.content,
        deduplication=o.deduplication,
        labels=o.labels,
        attributes=o.attributes,
    )
    return messages.Sent(id=identity)


async def _show_queue(d: SqliteProjectData, o: messages.ShowQueue) -> Any:
    return await d.queue_info(o.project, "queue", o.queue)


async def _show_topic(d: SqliteProjectData, o: messages.ShowTopic) -> Any:
    return await d.queue_info(o.project, "topic", o.topic)


async def _purge_queue(d: SqliteProjectData, o: messages.PurgeQueue) -> messages.Purged:
    return messages.Purged(deleted=await d.purge(o.project, "queue", o.queue))


async def _purge_topic(d: SqliteProjectData, o: messages.PurgeTopic) -> messages.Purged:
    return messages.Purged(deleted=await d.purge(o.project, "topic", o.topic))


async def _drop_queue(d: SqliteProjectData, o: messages.DropQueue) -> None:
    await d.drop(o.project, "queue", o.queue)


async def _drop_topic(d: SqliteProjectData, o: messages.DropTopic) -> None:
    await d.drop(o.project, "topic", o.topic)


_PERFORM: dict[type[Operation[Any]], _Perform] = {
    objects.ListBuckets: _buckets,
    objects.DropBucket: _drop_bucket,
    objects.ReadObject: _read_object,
    objects.HeadObject: _head_object,
    objects.WriteObject: _put_object,
    objects.BeginObject: _begin_object,
    objects.AddPart: _add_part,
    objects.CommitObject: _commit_object,
    objects.AbortObject: _abort_object,
    objects.DeleteObject: _delete_object,
    objects.ListObjects: _list_objects,
    objects.ListRevisions: _revisions,
    items.ListTables: _tables,
    items.DropTable: _drop_table,
    items.GetItem: _get_item,
    items.PutItem: _put_item,
    items.DeleteItem: _delete_item,
    items.QueryItems: _query_items,
    messages.ListQueues: _queues,
    messages.SendMessage: _send,
    messages.PublishMessage: _publish,
    messages.ShowQueue: _show_queue,
    messages.ShowTopic: _show_topic,
    messages.PurgeQueue: _purge_queue,
    messages.PurgeTopic: _purge_topic,
    messages.DropQueue: _drop_queue,
    messages.DropTopic: _drop_topic,
}
