"""What has a trigger bring a sample event."""

from __future__ import annotations

import logging
import secrets
import time

import msgspec

from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.api.service import Service
from casemate.data.interface import NewMessage
from casemate.model.deployment import LIVE, Version
from casemate.model.errors import NotFoundError
from casemate.model.event import Event
from casemate.model.trigger import INBOX
from casemate.operations import triggers
from casemate.operations.leases import KeepMessages
from casemate.operations.resources import ShowResources
from casemate.operations.triggers import Fired, FiredEvent, FireTrigger
from casemate.triggers.samples import sample_event

_log = logging.getLogger("casemate.api")

performs = Performers()


@performs(FireTrigger)
async def _fire(operation: FireTrigger, call: Call) -> Fired:
    service, project, name = call.service, operation.project, operation.function
    wanted = operation.trigger
    version = await _live(service, project, name)
    trigger = version.spec.trigger(wanted)
    if trigger is None:
        names = ", ".join(one.name for one in version.spec.triggers) or "none"
        raise NotFoundError(
            f"{project}/{name} has no trigger {wanted} in its live version.",
            next_step=f"It has: {names}; a route is called by its address.",
        )
    now = time.time()
    resources = await service.data.read(ShowResources(project=project))
    event = sample_event(version, trigger, now, resources=resources, data=operation.data)
    identity = f"inv_{secrets.token_hex(12)}"
    asking = call.principal.text
    message = NewMessage(
        body=msgspec.json.encode(event),
        invocation=identity,
        caller=call.answerable,
        expires_at=now + version.spec.delivery.max_age,
    )
    await service.ensure_inbox(project)
    await service.data.change(
        KeepMessages(project=project, kind=INBOX, name=name, messages=(message,))
    )
    _log.info("%s fired trigger %s of %s/%s: %s", asking, wanted, project, name, identity)
    return Fired(id=identity, event=_shown(event))


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
            f"{project}/{name} has no live version.", next_step="Deploy it: casemate deploy"
        )
    return max(versions, key=lambda version: version.number)


OPERATIONS = all_served(triggers, performs)
