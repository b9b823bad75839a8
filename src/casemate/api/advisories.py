"""Operations on advisories."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from starlette.responses import Response

from casemate.api.inputs import declared_length, receive, require_media_type
from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.api.service import json_response
from casemate.model.licence import LicenceRules
from casemate.model.vulnerability import AdvisoryException, AdvisoryRules, JudgedFunction
from casemate.operations import advisories
from casemate.operations.advisories import (
    MAX_ADVISORIES_BYTES,
    AdvisoriesStatus,
    AdvisoryExceptions,
    EndAdvisoryException,
    ExceptAdvisory,
    JudgePackages,
    ListAdvisoryExceptions,
    ListLiveHoles,
    LiveHoles,
    PutAdvisories,
    SetAdvisoryRules,
    SetLicenceRules,
    ShowAdvisories,
)
from casemate.operations.declaration import BINARY
from casemate.vulnerabilities import UPLOAD_PREFIX, named, stated

performs = Performers()


@performs(ShowAdvisories)
async def _show(_operation: ShowAdvisories, call: Call) -> AdvisoriesStatus:
    return await call.service.advisories.status()


@performs(PutAdvisories)
async def _put(operation: PutAdvisories, call: Call) -> Response:
    request, service = call.request, call.service
    require_media_type(request, BINARY)
    declared_length(request, MAX_ADVISORIES_BYTES)
    service.imports.require(call.answerable)
    with (
        service.imports.counted(call.answerable),
        tempfile.NamedTemporaryFile(
            dir=service.advisories.folder(), prefix=UPLOAD_PREFIX, delete=False
        ) as file,
    ):
        path = Path(file.name)
        try:
            await receive(request, file, MAX_ADVISORIES_BYTES)
            done = await service.advisories.take(path, call.actor, fewer=operation.fewer)
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)
    return json_response(done)


@performs(SetAdvisoryRules)
async def _set_rules(operation: SetAdvisoryRules, call: Call) -> AdvisoryRules:
    rules = AdvisoryRules(refuse=operation.refuse, quarantine=operation.quarantine)
    return await call.service.advisories.set_rules(rules)


@performs(SetLicenceRules)
async def _set_licences(operation: SetLicenceRules, call: Call) -> LicenceRules:
    rules = LicenceRules(allowed=operation.allowed, unknown=operation.unknown)
    return await call.service.advisories.set_licence_rules(rules)


@performs(JudgePackages)
async def _judge(operation: JudgePackages, call: Call) -> JudgedFunction:
    gate = call.service.advisories.gate
    said = operation.licences
    licences = None if said is None else await asyncio.to_thread(stated, said)
    found = named(operation.packages, licences)
    return await gate.judged(operation.project, operation.function, found)


@performs(ExceptAdvisory)
async def _except(operation: ExceptAdvisory, call: Call) -> AdvisoryException:
    return await call.service.advisories.gate.exceptions.add(operation, call.actor)


@performs(ListAdvisoryExceptions)
async def _exceptions(operation: ListAdvisoryExceptions, call: Call) -> AdvisoryExceptions:
    found = call.service.advisories.gate.exceptions.all()
    return AdvisoryExceptions(
        exceptions=tuple(one for one in found if operation.project in (None, one.project))
    )


@performs(EndAdvisoryException)
async def _end(operation: EndAdvisoryException, call: Call) -> None:
    exceptions = call.service.advisories.gate.exceptions
    await exceptions.end(operation.project, operation.function, operation.id)


@performs(ListLiveHoles)
async def _live(operation: ListLiveHoles, call: Call) -> LiveHoles:
    return call.service.advisories.live(operation)


OPERATIONS = all_served(advisories, performs)
