"""Operations on evidence. Who gathers or fetches it may see all that can be in it, of the node."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import Mapping

from starlette.responses import Response

from casemate.api.evidence_gathering import gathered
from casemate.api.held_response import HeldResponse
from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.evidence import Manifest, build
from casemate.model.facts import EvidenceReleased, EvidenceSealed
from casemate.model.principal import NODE, Action
from casemate.operations import evidence
from casemate.operations.declaration import TAR
from casemate.operations.evidence import (
    EvidenceList,
    EvidenceView,
    FetchEvidence,
    GatherEvidence,
    ListEvidence,
    ReleaseEvidence,
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
    service = call.service
    incident = await service.monitor.incident(wanted.id)
    # One at a time: each may be as large as evidence may be.
    async with service.evidences.turn:
        service.evidences.require_room()
        manifest, files = await gathered(service, incident, call.actor.principal)
        # Tens of megabytes: not on the event loop.
        data, digest = await asyncio.to_thread(_sealed, manifest, files)
        view = EvidenceView(
            id=f"evi_{os.urandom(8).hex()}",
            incident=incident.id,
            sha256=digest,
            size=len(data),
            files=len(files),
            at=time.time(),
            by=call.actor.principal,
            left_out=manifest.left_out,
        )
        service.facts.happened(
            EvidenceSealed(
                at=view.at,
                by=view.by,
                remote_address=call.actor.remote_address,
                evidence=view.id,
                incident=incident.id,
                sha256=view.sha256,
                size=view.size,
            )
        )
        # Its hash is on record before anybody could have changed what is kept.
        await service.recorder.durable()
        await service.evidences.keep(view, data)
        return view


def _sealed(manifest: Manifest, files: Mapping[str, bytes]) -> tuple[bytes, str]:
    data = build(manifest, files)
    return data, hashlib.sha256(data).hexdigest()


@performs(ListEvidence)
async def _list(wanted: ListEvidence, call: Call) -> EvidenceList:
    return EvidenceList(evidence=call.service.evidences.of(wanted.id))


@performs(FetchEvidence)
async def _fetch(wanted: FetchEvidence, call: Call) -> Response:
    _require(call)
    service = call.service
    size = service.evidences.one(wanted.id).size
    if call.request.method == "HEAD":
        return Response(media_type=TAR, headers={"content-length": str(size)})
    service.fetches.require()
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(service.fetches.counted())
        pieces = await stack.enter_async_context(service.evidences.opened(wanted.id))
        headers = {"content-length": str(size), "cache-control": "no-store"}
        return HeldResponse(pieces, stack.pop_all(), media_type=TAR, headers=headers)


@performs(ReleaseEvidence)
async def _release(wanted: ReleaseEvidence, call: Call) -> None:
    service = call.service
    view = service.evidences.one(wanted.id)
    service.facts.happened(
        EvidenceReleased(
            at=time.time(),
            by=call.actor.principal,
            remote_address=call.actor.remote_address,
            evidence=view.id,
            incident=view.incident,
            sha256=view.sha256,
            reason=wanted.reason,
        )
    )
    await service.recorder.durable()
    await service.evidences.drop(view.id)


OPERATIONS = all_served(evidence, performs)
