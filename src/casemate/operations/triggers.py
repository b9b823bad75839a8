"""The operation that has a trigger bring a sample event."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

import msgspec

from casemate.model.principal import Action
from casemate.model.trigger import TriggerKind
from casemate.operations.declaration import Declaration, Operation, on_function
from casemate.operations.fields import Name, whole
from casemate.operations.given import Given

TRIGGER_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

_Trigger = Annotated[
    str,
    msgspec.Meta(
        pattern=whole(TRIGGER_PATTERN),
        description="The trigger's name.",
        examples=["bucket-1"],
    ),
    Given("Its name, see `casemate show FUNCTION`."),
]


class FiredEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The event, as CloudEvents names its attributes."""

    id: str
    source: str
    type: str
    time: float
    kind: TriggerKind
    trigger: str
    subject: str
    data: Any
    detail: dict[str, Any]
    """What only this kind of source has."""


class Fired(msgspec.Struct, frozen=True, kw_only=True):
    """The event that is stored, and the invocation that handles it."""

    id: str
    event: FiredEvent


_FIRED = Fired(
    id="inv_01a21a5c499d6d1728d66ddc",
    event=FiredEvent(
        id="evt_0f6b3f1d2a4c5e6f7a8b9c0d",
        source="/projects/shop/topics/news",
        type="casemate.topic.message",
        time=1764201600.0,
        kind=TriggerKind.TOPIC,
        trigger="topic-1",
        subject="news",
        data={"order": 1042},
        detail={},
    ),
)


class FireTrigger(Operation[Fired], frozen=True, kw_only=True):
    """Send a function a sample event, as if the trigger's source had sent it.

    The event has the form of the trigger's kind, fits its filters, and goes into the function's
    inbox. Contract, batches, attempts and dead letters apply as to any event. Nothing is written to
    the bucket, table, queue or topic. `data` replaces parts of the sample: some fields of a
    bucket's object, `old` and `new` of a table's item, the body of a web hook. For a bucket or
    table `event` names one of the trigger's events; without it it is the first.
    """

    declared = Declaration(
        http="POST /functions/{project}/{function}/triggers/{trigger}/fire",
        tag="functions",
        action=Action.TRIGGER_FIRE,
        on=on_function,
        status=HTTPStatus.ACCEPTED,
        problems=(404, 413, 415, 422, 429),
        body_optional=True,
        example={"trigger": "topic-1", "data": {"order": 1042}},
        answer=_FIRED,
    )
    project: Name
    function: Name
    trigger: _Trigger
    data: Annotated[
        Any,
        msgspec.Meta(description="In place of the sample's data; nothing leaves that."),
        Given(
            "Data to use instead of the sample's: JSON, `@FILE`, or `-` for standard input.",
            "--data -d",
            metavar="JSON",
        ),
    ] = msgspec.UNSET
