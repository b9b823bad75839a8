"""Operations on deployed functions: list, show, deploy, alias, roll back, remove."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from casemate.api.authorization import function_of
from casemate.api.control import Deployment
from casemate.api.performing import Call, Performers
from casemate.api.problems import RequestError
from casemate.api.served import all_served
from casemate.api.service import json_response
from casemate.model.denial import DenialKind, denied_on
from casemate.model.deployment import Alias, DeployedFunction, Version
from casemate.model.errors import CasemateError, HeldByAnotherError
from casemate.model.invocation import InvocationRecord
from casemate.model.principal import Action, Resource, ResourceKind
from casemate.model.restoring import Restoring
from casemate.model.trigger import TriggerKind
from casemate.operations import functions
from casemate.operations.declaration import JSON
from casemate.operations.functions import (
    CheckDeploy,
    Deployed,
    DeployFunctions,
    DeployVersion,
    Foreseen,
    Functions,
    ListFunctions,
    ListSchedules,
    NoteRefusedDeploy,
    Obstacle,
    RefusedFor,
    RemoveFunction,
    RemoveVersion,
    Rollback,
    Schedules,
    SetAlias,
    ShowFunction,
    ShowRestoring,
    ShowSbom,
    Started,
)
from casemate.operations.records import ListInvocations

performs = Performers()
_REFUSED = {
    RefusedFor.GRANTS: "the client sent nothing: it grants more than what is live, unapproved",
    RefusedFor.ADVISORIES: "the client sent nothing: packages are vulnerable, or not known",
    RefusedFor.LICENCE: "the client sent nothing: packages are under licences not allowed here",
}
"""What a record says of why; no text of the client's."""


@performs(ListFunctions)
async def _list(_operation: ListFunctions, call: Call) -> Functions:
    return Functions(
        functions=tuple(
            deployed
            for deployed in await call.service.control.functions()
            if call.may(Action.FUNCTION_READ, function_of(deployed.project, deployed.name))
        )
    )


@performs(ShowFunction)
async def _show(operation: ShowFunction, call: Call) -> DeployedFunction:
    project, name = operation.project, operation.function
    found = await call.service.control.function(project, name)
    if not call.may(Action.INVOCATION_READ, Resource(kind=ResourceKind.PROJECT, project=project)):
        return found
    kept = call.service.budgets
    return msgspec.structs.replace(
        found,
        budgets=tuple(b for b in kept.states(project) if b.budget.function in (None, name)),
        quotas=tuple(q for q in kept.quota_states(project) if q.quota.function in (None, name)),
    )


@performs(RemoveFunction)
async def _remove(operation: RemoveFunction, call: Call) -> None:
    await call.service.control.remove(operation.project, operation.function, by=call.actor)


@performs(RemoveVersion)
async def _remove_version(operation: RemoveVersion, call: Call) -> None:
    await call.service.control.remove_version(
        operation.project,
        operation.function,
        operation.number,
        by=call.actor,
    )


@performs(DeployVersion)
async def _deploy(operation: DeployVersion, call: Call) -> Version | Response:
    control = call.service.control
    project, name, digest = operation.project, operation.function, operation.digest
    if operation.approve:
        call.require(Action.GRANT_APPROVE, function_of(project, name))
    if operation.dry_run:
        await control.start_once(project, name, digest, by=call.actor)
        return json_response(Started(digest=digest))
    return await control.deploy(project, name, digest, approve=operation.approve, by=call.actor)


@performs(DeployFunctions)
async def _deploy_all(operation: DeployFunctions, call: Call) -> Deployed:
    names = [(one.project, one.function) for one in operation.functions]
    if len(set(names)) != len(names):
        raise RequestError(
            HTTPStatus.BAD_REQUEST, "A function is named more than once, expected each one once."
        )
    _require_deploy(call, names, approve=operation.approve)
    versions = await call.service.control.deploy_all(
        [Deployment(one.project, one.function, one.digest) for one in operation.functions],
        approve=operation.approve,
        trial=operation.trial,
        by=call.actor,
    )
    return Deployed(versions=versions)


def _require_deploy(call: Call, names: Iterable[tuple[str, str]], *, approve: bool) -> None:
    for name in names:
        call.require(Action.FUNCTION_DEPLOY, function_of(*name))
        if approve:
            call.require(Action.GRANT_APPROVE, function_of(*name))


@performs(CheckDeploy)
async def _check_deploy(operation: CheckDeploy, call: Call) -> Response | None:
    names = [(one.project, one.function) for one in operation.functions]
    if not {(one.project, one.function) for one in operation.planned} <= set(names):
        raise RequestError(
            HTTPStatus.BAD_REQUEST, "A function is planned that is not among `functions`."
        )
    # By itself: who may not deploy learns nothing of how the node is.
    try:
        _require_deploy(call, names, approve=operation.approve)
    except RequestError as error:
        error.message += _nor(call, names)
        raise
    if not operation.planned:
        return None
    slots = call.service.foreseen
    slots.require(call.answerable)
    with slots.counted(call.answerable):
        found = await call.service.control.foresee(
            operation.planned, key=operation.key, sigstore=operation.sigstore, by=call.actor
        )
        forgets = await call.service.control.forgets(operation.planned)
    obstacles = tuple(_obstacle(one, call) for one in found)
    return json_response(Foreseen(obstacles=obstacles, forgets=tuple(forgets)))


def _nor(call: Call, names: Sequence[tuple[str, str]]) -> str:
    """Return which of several functions are not for who asks; only the first denied is recorded."""
    denied = [
        function_of(*name).text
        for name in names
        if not call.may(Action.FUNCTION_DEPLOY, function_of(*name))
    ]
    return f" Nor on {', '.join(denied[1:])}." if len(denied) > 1 else ""


def _obstacle(error: CasemateError, call: Call) -> Obstacle:
    told = call.told(error) if isinstance(error, HeldByAnotherError) else error
    return Obstacle(function=told.about, message=told.message, next_step=told.next_step or "")


@performs(NoteRefusedDeploy)
async def _note_refused(operation: NoteRefusedDeploy, call: Call) -> None:
    names = dict.fromkeys((one.project, one.function) for one in operation.functions)
    _require_deploy(call, names, approve=False)
    service = call.service
    for name in names:
        denial = denied_on(
            function_of(*name),
            at=time.time(),
            kind=DenialKind(operation.kind.value),
            by=call.actor,
            action=Action.FUNCTION_DEPLOY.value,
            reason=_REFUSED[operation.kind],
        )
        service.refused_deploys.note(denial, call.answerable, service.facts.happened)


@performs(SetAlias)
async def _set_alias(operation: SetAlias, call: Call) -> Alias:
    targets = operation.targets
    total = sum(target.weight for target in targets)
    if total != 100:
        raise RequestError(
            HTTPStatus.BAD_REQUEST, f"The weights add up to {total}, expected exactly 100."
        )
    if len({target.version for target in targets}) != len(targets):
        raise RequestError(
            HTTPStatus.BAD_REQUEST, "A version is named more than once, expected each one once."
        )
    approve = call.may_approve(operation.project, operation.function)
    return await call.service.control.set_alias(operation, approve=approve, by=call.actor)


@performs(Rollback)
async def _rollback(operation: Rollback, call: Call) -> Alias:
    project, function = operation.project, operation.function
    approve = call.may_approve(project, function)
    return await call.service.control.rollback(
        project, function, operation.to, approve=approve, by=call.actor
    )


@performs(ListSchedules)
async def _schedules(operation: ListSchedules, call: Call) -> Schedules:
    project, name = operation.project, operation.function
    control = call.service.control
    await control.function(project, name)
    last: tuple[InvocationRecord, ...] = ()
    if call.may(Action.INVOCATION_READ, function_of(project, name)):
        scheduled = TriggerKind.SCHEDULE.value
        wanted = ListInvocations(project=project, function=name, limit=1, trigger=scheduled)
        last = (await control.recorded(wanted)).invocations
    return Schedules(
        schedules=call.service.schedules(project, name), last=last[0] if last else None
    )


@performs(ShowRestoring)
async def _restoring(operation: ShowRestoring, call: Call) -> Restoring:
    control = call.service.control
    await control.function(operation.project, operation.function)
    return control.restoring(operation.project, operation.function)


@performs(ShowSbom)
async def _sbom(operation: ShowSbom, call: Call) -> Response:
    slots = call.service.sboms
    slots.require(call.answerable)
    with slots.counted(call.answerable):
        made = await call.service.control.sbom(
            operation.project, operation.function, operation.version
        )
    return Response(made, media_type=JSON)


OPERATIONS = all_served(functions, performs)
