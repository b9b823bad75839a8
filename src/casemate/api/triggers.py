"""The operation that has a trigger bring a sample event."""

from __future__ import annotations

import logging
import secrets
import time
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from casemate.api.authorization import function, principal
from casemate.api.inputs import Query, json_body, path_matching, path_name
from casemate.api.operations import Operation, Service, json_response
from casemate.data.interface import NewMessage
from casemate.model.deployment import LIVE, Version
from casemate.model.errors import NotFoundError
from casemate.model.event import Event
from casemate.model.principal import Action
from casemate.model.trigger import INBOX, TriggerKind
from casemate.triggers.samples import sample_event

TRIGGER_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_log = logging.getLogger("casemate.api")


class Firing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the event is to carry in place of the sample's data; nothing leaves that."""

    data: Any = msgspec.UNSET


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
    """The event that is kept, and the invocation that handles it."""

    id: str
    event: FiredEvent


async def _fire(request: Request, service: Service) -> Response:
    Query(request).end()
    project, name = path_name(request, "project"), path_name(request, "function")
    wanted = path_matching(request, "trigger", TRIGGER_PATTERN)
    body = await json_body(request, Firing, default=Firing())
    version = await _live(service, project, name)
    trigger = version.spec.trigger(wanted)
    if trigger is None:
        names = ", ".join(one.name for one in version.spec.triggers) or "none"
        raise NotFoundError(
            f"{project}/{name} has no trigger {wanted} in its live version.",
            next_step=f"it has: {names}; a route is called by its address",
        )
    now = time.time()
    resources = await service.data.resources(project)
    event = sample_event(version, trigger, now, resources=resources, data=body.data)
    identity = f"inv_{secrets.token_hex(12)}"
    asking = principal(request).text
    message = NewMessage(
        body=msgspec.json.encode(event),
        invocation=identity,
        caller=asking,
        expires_at=now + version.spec.delivery.max_age,
    )
    await service.ensure_inbox(project)
    await service.data.send_many(project, INBOX, name, (message,))
    _log.info("%s fired trigger %s of %s/%s: %s", asking, wanted, project, name, identity)
    return json_response(Fired(id=identity, event=_shown(event)), HTTPStatus.ACCEPTED)


def _shown(event: Event) -> FiredEvent:
    return FiredEvent(
        id=event.id,
        source=event.source,
        type=event.type,
        time=event.time,
        kind=event.kind,
        trigger=event.trigger,
        subject=event.subject,
        data=msgspec.json.decode(event.data),
        detail=event.detail,
    )


async def _live(service: Service, project: str, name: str) -> Version:
    """Return the version whose triggers are in force: the newest live one."""
    found = await service.control.function(project, name)
    targets = next((a.targets for a in found.aliases if a.name == LIVE), ())
    live = {target.version for target in targets if target.weight > 0}
    versions = [version for version in found.versions if version.number in live]
    if not versions:
        raise NotFoundError(
            f"{project}/{name} has no live version.", next_step="deploy it: casemate deploy"
        )
    return max(versions, key=lambda version: version.number)


OPERATIONS = (
    Operation(
        method="POST",
        path="/functions/{project}/{function}/triggers/{trigger}/fire",
        id="fireTrigger",
        tag="functions",
        summary="Have a trigger bring a sample event, as if its source had",
        description=(
            "The event is in the shape of the trigger's kind, fits its filters, and is kept in the "
            "function's inbox: contract, batches, attempts and dead letters are as of any other. "
            "Nothing is written to the bucket, table, queue or topic. `data` takes the place of "
            "the sample's: of a bucket some of its fields, of a table `old` and `new`, of a web "
            "hook the body that its sender sends."
        ),
        endpoint=_fire,
        action=Action.TRIGGER_FIRE,
        resource=function,
        body=Firing,
        status=HTTPStatus.ACCEPTED,
        response=Fired,
        problems=(404, 413, 415, 422),
    ),
)
