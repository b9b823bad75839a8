"""Operations on evidence. Who gathers or fetches it may see all that can be in it, of the node."""

from __future__ import annotations

import contextlib
import time

from starlette.responses import Response

from casemate.api.evidence_sealing import kept_of, release, seal
from casemate.api.held_response import HeldResponse, while_allowed
from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.api.service import Service
from casemate.model.principal import NODE, Action
from casemate.model.response_facts import IncidentUpdated
from casemate.monitor.incident_names import names_of_same
from casemate.operations import evidence
from casemate.operations.declaration import TAR
from casemate.operations.evidence import (
    EvidenceList,
    EvidenceView,
    FetchEvidence,
    GatherEvidence,
    HoldIncident,
    Holds,
    HoldView,
    ListEvidence,
    ListHolds,
    ReleaseEvidence,
    ReleaseHold,
)

_NEEDED = (
    Action.INCIDENTS_READ,
    Action.FINDINGS_READ,
    Action.JOURNAL_READ,
    Action.FUNCTION_READ,
    Action.GRANT_READ,
    Action.INVOCATION_READ,
    Action.LOG_READ,
    Action.ERROR_READ,
    Action.DENIAL_READ,
)
"""What is in evidence, beside recordings; one action is declared and asked for before."""
performs = Performers()


def _require(call: Call) -> None:
    """Refuse who might not see all that can be in evidence by asking for it piece by piece."""
    for action in _NEEDED:
        call.require(action, NODE)


@performs(GatherEvidence)
async def _gather(wanted: GatherEvidence, call: Call) -> EvidenceView:
    _require(call)
    return await seal(call.service, wanted.id, call.actor)


@performs(ListEvidence)
async def _list(wanted: ListEvidence, call: Call) -> EvidenceList:
    return EvidenceList(evidence=await kept_of(call.service, wanted.id))


@performs(FetchEvidence)
async def _fetch(wanted: FetchEvidence, call: Call) -> Response:
    _require(call)
    service = call.service
    size = service.evidences.one(wanted.id).size
    if call.request.method == "HEAD":
        return Response(media_type=TAR, headers={"content-length": str(size)})
    service.fetches.require(call.answerable)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(service.fetches.counted(call.answerable))
        opened = await stack.enter_async_context(service.evidences.opened(wanted.id))
        pieces = while_allowed(opened, call.still)
        headers = {"content-length": str(size)}
        return HeldResponse(pieces, stack.pop_all(), media_type=TAR, headers=headers)


@performs(ReleaseEvidence)
async def _release(wanted: ReleaseEvidence, call: Call) -> None:
    await release(call.service, wanted.id, wanted.reason, call.actor)


@performs(HoldIncident)
async def _hold(wanted: HoldIncident, call: Call) -> HoldView:
    service = call.service
    incident = await service.monitor.incident(wanted.id)
    before = await _under_hold(service, incident.id)
    held = await service.holds.hold(
        incident.id if before is None else before.incident,
        [f"{one.project}/{one.name}" for one in incident.functions],
        incident.opened_at,
        incident.last_at,
        wanted.days,
        reason=wanted.reason,
        by=call.actor.principal,
        recordings=service.recordings,
    )
    _note(call, held.incident, f"legal hold for {wanted.days} days: {wanted.reason}")
    return held


@performs(ReleaseHold)
async def _release_hold(wanted: ReleaseHold, call: Call) -> None:
    held = await _under_hold(call.service, wanted.id) or call.service.holds.one(wanted.id)
    _note(call, held.incident, f"legal hold ended: {wanted.reason}")
    await call.service.recorder.durable()
    await call.service.holds.release(held.incident)


async def _under_hold(service: Service, id: str) -> HoldView | None:
    """Return the hold of an incident, by whichever of its names. None: there is none."""
    held = {one.incident: one for one in service.holds.all()}
    if (found := held.get(id)) is not None:
        return found
    same = await names_of_same(service.monitor, id, held)
    return next((one for name, one in held.items() if name in same), None)


@performs(ListHolds)
async def _holds(_wanted: ListHolds, call: Call) -> Holds:
    return Holds(holds=call.service.holds.all())


def _note(call: Call, incident: str, text: str) -> None:
    """Have it stand in the incident's timeline, and in the journal."""
    call.service.facts.happened(
        IncidentUpdated(
            at=time.time(),
            by=call.actor.principal,
            remote_address=call.actor.remote_address,
            incident=incident,
            change="note",
            value="",
            text=text,
        )
    )


OPERATIONS = all_served(evidence, performs)
