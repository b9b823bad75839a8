"""Putting what is on record of an incident under hold, and ending that: by whomever."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Callable, Mapping

from casemate.api.evidence_gathering import gathered
from casemate.api.service import Service
from casemate.evidence import Manifest, build
from casemate.model.errors import ConflictError, NotFoundError
from casemate.model.facts import Actor
from casemate.model.response_facts import EvidenceReleased, EvidenceSealed
from casemate.model.still import require_still
from casemate.monitor.incident_names import names_of_same
from casemate.operations.evidence import EvidenceView

MAX_BY_PLAYBOOKS = 16
"""Archives that playbooks have kept: what they find does not use up the room of people."""
_PLAYBOOK = "playbook:"


async def seal(service: Service, id: str, by: Actor) -> EvidenceView:
    """Keep an archive of an incident, once its hash is on record. Raises CasemateError."""
    incident = await service.monitor.incident(id)
    # One at a time: each may be as large as evidence may be.
    async with service.evidences.turn:
        service.evidences.require_room()
        manifest, files = await gathered(service, incident, by.principal)
        # Tens of megabytes: not on the event loop.
        data, digest = await asyncio.to_thread(_sealed, manifest, files)
        require_still()  # it takes as long as there is much of it
        view = EvidenceView(
            id=f"evi_{os.urandom(8).hex()}",
            incident=incident.id,
            sha256=digest,
            size=len(data),
            files=len(files),
            at=time.time(),
            by=by.principal,
            left_out=manifest.left_out,
        )
        service.facts.happened(
            EvidenceSealed(
                at=view.at,
                by=view.by,
                remote_address=by.remote_address,
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


async def kept_of(service: Service, incident: str) -> tuple[EvidenceView, ...]:
    """Return the archives of an incident, by whichever of its names, the newest first.

    Raises MonitorUnavailableError.
    """
    kept = service.evidences
    names = {view.incident for view in kept.all()}
    return kept.of(await names_of_same(service.monitor, incident, names)) if names else ()


async def release(service: Service, id: str, reason: str, by: Actor) -> None:
    """End the hold of an archive. Raises NotFoundError, UnavailableError."""
    view = service.evidences.one(id)
    service.facts.happened(
        EvidenceReleased(
            at=time.time(),
            by=by.principal,
            remote_address=by.remote_address,
            evidence=view.id,
            incident=view.incident,
            sha256=view.sha256,
            reason=reason,
        )
    )
    await service.recorder.durable()
    await service.evidences.drop(view.id)


class Sealing:
    """What playbooks do so by: one archive of an incident, however often it is asked for."""

    def __init__(self, service: Callable[[], Service]) -> None:
        """`service` returns what the control API works with."""
        self._service = service

    async def seal(self, incident: str, by: Actor) -> str:
        """Keep an archive, unless there is one by the same playbook; return its id."""
        kept = self._service().evidences
        for view in await kept_of(self._service(), incident):
            if view.by == by.principal:
                return view.id
        if sum(view.by.startswith(_PLAYBOOK) for view in kept.all()) >= MAX_BY_PLAYBOOKS:
            raise ConflictError(
                f"{MAX_BY_PLAYBOOKS} archives of evidence by playbooks are kept already.",
                next_step="Export one, and end its hold: casemate incident evidence ID --release "
                "REASON",
            )
        return (await seal(self._service(), incident, by)).id

    async def release(self, id: str, reason: str, by: Actor) -> None:
        """End the hold of what was kept; nothing is done where somebody has."""
        try:
            await release(self._service(), id, reason, by)
        except NotFoundError:
            return
