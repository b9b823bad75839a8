"""Operations on queues and topics that are not the data's alone."""

from __future__ import annotations

from casemate.api.performing import Call, Performers
from casemate.capabilities.labels import FROM_API
from casemate.model.principal import Action, ResourceKind
from casemate.operations.messages import (
    ListQueues,
    PublishMessage,
    PublishToTopic,
    Queues,
    SendMessage,
    SendToQueue,
    Sent,
)

performs = Performers()


@performs(ListQueues)
async def _list(operation: ListQueues, call: Call) -> Queues:
    found, project = await call.service.data.read(operation), operation.project
    return Queues(
        queues=call.shown(Action.QUEUE_READ, ResourceKind.QUEUE, project, found.queues),
        topics=call.shown(Action.QUEUE_READ, ResourceKind.TOPIC, project, found.topics),
    )


@performs(SendToQueue)
async def _send(operation: SendToQueue, call: Call) -> Sent:
    return await call.service.data.change(
        SendMessage(
            project=operation.project,
            queue=operation.queue,
            content=bytes(operation.message),
            delay=operation.delay,
            deduplication=operation.deduplication,
            key=operation.key,
            priority=operation.priority or 0,
            labels=FROM_API,
            attributes=operation.attributes,
        )
    )


@performs(PublishToTopic)
async def _publish(operation: PublishToTopic, call: Call) -> Sent:
    return await call.service.data.change(
        PublishMessage(
            project=operation.project,
            topic=operation.topic,
            content=bytes(operation.message),
            deduplication=operation.deduplication,
            labels=FROM_API,
            attributes=operation.attributes,
        )
    )
