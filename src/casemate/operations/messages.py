"""Operations on queues and topics: list, send, see how much waits, purge, drop."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec

from casemate.model.grant import QueueSpec
from casemate.model.messages import QueueInfo
from casemate.model.principal import Action, ResourceKind
from casemate.operations.declaration import Decided, Declaration, Effect, Operation, on
from casemate.operations.fields import MAX_SENT, Attributes, Name, ShortText
from casemate.operations.given import DURATION, Given

_queue, _topic = on(ResourceKind.QUEUE), on(ResourceKind.TOPIC)
_INSIDE = frozenset({"labels"})
_SECRET = frozenset({"message", "attributes"})
_PROBLEMS = (404, 413, 415, 422, 429)
_EXAMPLE = {"message": msgspec.Raw(b'{"order": 7}')}
_Message = Annotated[msgspec.Raw, msgspec.Meta(description="The message: any JSON.")]
_Deduplication = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=256,
        description="Of messages with the same text within an hour only the first is kept.",
    ),
]
_Attributes = Annotated[Attributes, msgspec.Meta(description="Texts beside the message, by name.")]


class Queues(msgspec.Struct, frozen=True, kw_only=True):
    """The queues and topics of a project that you may read, by name."""

    queues: tuple[QueueSpec, ...] = ()
    topics: tuple[QueueSpec, ...] = ()


class Purged(msgspec.Struct, frozen=True, kw_only=True):
    """How many messages were deleted."""

    deleted: int


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is kept."""

    id: str


class ListQueues(Operation[Queues], frozen=True, kw_only=True):
    """List the queues and topics of a project that you may read."""

    declared = Declaration(http="GET /queues/{project}", tag="data", decided=Decided.FOR_EACH)
    project: Name


class SendMessage(Operation[Sent], frozen=True, kw_only=True):
    """Send to a queue; the body is the message's JSON."""

    declared = Declaration(
        action=Action.QUEUE_SEND,
        on=_queue,
        capability="queue.send",
        content="content",
        inside=_INSIDE,
    )
    project: Name
    queue: Name
    content: bytes
    delay: Annotated[float, msgspec.Meta(ge=0, le=14 * 86400)] = 0.0
    deduplication: ShortText | None = None
    key: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    priority: Annotated[int, msgspec.Meta(ge=-100, le=100)] = 0
    labels: bytes = b""
    attributes: Attributes | None = None


class PublishMessage(Operation[Sent], frozen=True, kw_only=True):
    """Publish to a topic; the body is the message's JSON."""

    declared = Declaration(
        action=Action.TOPIC_PUBLISH,
        on=_topic,
        capability="topic.publish",
        content="content",
        inside=_INSIDE,
    )
    project: Name
    topic: Name
    content: bytes
    deduplication: ShortText | None = None
    labels: bytes = b""
    attributes: Attributes | None = None


class SendToQueue(Operation[Sent], frozen=True, kw_only=True):
    """Send a message to a queue.

    The message may have at most 512 KiB, and no more than the queue takes (413). It is stored
    durably before the answer comes. 429 means that the queue is full.
    """

    declared = Declaration(
        http="POST /queues/{project}/{queue}/send",
        tag="data",
        action=Action.QUEUE_SEND,
        on=_queue,
        problems=_PROBLEMS,
        max_body=MAX_SENT,
        secret=_SECRET,
        example=_EXAMPLE,
    )
    project: Name
    queue: Name
    message: _Message
    delay: Annotated[
        float,
        msgspec.Meta(ge=0, le=14 * 86400, description="Handled no earlier than after seconds."),
        Given("Have it handled no earlier than after this time.", metavar=DURATION),
    ] = 0.0
    deduplication: _Deduplication | None = None
    key: Annotated[
        str,
        msgspec.Meta(
            max_length=1024,
            description="Messages with the same key are handled one after the other, in order.",
        ),
    ] = ""
    priority: (
        Annotated[
            int,
            msgspec.Meta(
                ge=-100, le=100, description="Of those that wait the highest is next; else 0."
            ),
        ]
        | None
    ) = None
    attributes: _Attributes | None = None


class PublishToTopic(Operation[Sent], frozen=True, kw_only=True):
    """Publish a message to a topic; each function that subscribes gets it.

    The message may have at most 512 KiB, and no more than the topic takes (413). It is stored
    durably before the answer comes. 429 means that there is no room for it.
    """

    declared = Declaration(
        http="POST /topics/{project}/{topic}/publish",
        tag="data",
        action=Action.TOPIC_PUBLISH,
        on=_topic,
        problems=_PROBLEMS,
        max_body=MAX_SENT,
        secret=_SECRET,
        example=_EXAMPLE,
    )
    project: Name
    topic: Name
    message: _Message
    deduplication: _Deduplication | None = None
    attributes: _Attributes | None = None


class ShowQueue(Operation[QueueInfo], frozen=True, kw_only=True):
    """Tell how many messages wait in a queue."""

    declared = Declaration(
        http="GET /queues/{project}/{queue}",
        tag="data",
        action=Action.QUEUE_READ,
        on=_queue,
        problems=(404,),
    )
    project: Name
    queue: Name


class PurgeQueue(Operation[Purged], frozen=True, kw_only=True):
    """Delete every message of a queue."""

    declared = Declaration(
        http="POST /queues/{project}/{queue}/purge",
        tag="data",
        effect=Effect.DESTROY,
        action=Action.QUEUE_PURGE,
        on=_queue,
        problems=(404,),
    )
    project: Name
    queue: Name


class DropQueue(Operation[None], frozen=True, kw_only=True):
    """Delete a queue with its messages."""

    declared = Declaration(
        http="DELETE /queues/{project}/{queue}",
        tag="data",
        status=HTTPStatus.NO_CONTENT,
        action=Action.QUEUE_DROP,
        on=_queue,
        problems=(404,),
    )
    project: Name
    queue: Name


class ShowTopic(Operation[QueueInfo], frozen=True, kw_only=True):
    """Tell how many messages wait in a topic."""

    declared = Declaration(
        http="GET /topics/{project}/{topic}",
        tag="data",
        action=Action.QUEUE_READ,
        on=_topic,
        problems=(404,),
    )
    project: Name
    topic: Name


class PurgeTopic(Operation[Purged], frozen=True, kw_only=True):
    """Delete every message of a topic."""

    declared = Declaration(
        http="POST /topics/{project}/{topic}/purge",
        tag="data",
        effect=Effect.DESTROY,
        action=Action.QUEUE_PURGE,
        on=_topic,
        problems=(404,),
    )
    project: Name
    topic: Name


class DropTopic(Operation[None], frozen=True, kw_only=True):
    """Delete a topic with its messages."""

    declared = Declaration(
        http="DELETE /topics/{project}/{topic}",
        tag="data",
        status=HTTPStatus.NO_CONTENT,
        action=Action.QUEUE_DROP,
        on=_topic,
        problems=(404,),
    )
    project: Name
    topic: Name
