"""Operations on queues and topics that are not the data's alone."""

from __future__ import annotations

from casemate.api.performing import Call, Performers
from casemate.model.principal import Action, ResourceKind
from casemate.operations.messages import ListQueues, Queues

performs = Performers()


@performs(ListQueues)
async def _list(operation: ListQueues, call: Call) -> Queues:
    found, project = await call.service.data.read(operation), operation.project
    return Queues(
        queues=call.shown(Action.QUEUE_READ, ResourceKind.QUEUE, project, found.queues),
        topics=call.shown(Action.QUEUE_READ, ResourceKind.TOPIC, project, found.topics),
    )
