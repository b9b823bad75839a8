"""Operations on deployed functions: list, show, deploy, alias, roll back, remove."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from casemate.api.authorization import function, function_of, principal
from casemate.api.control import Deployment as DeploymentOf
from casemate.api.inputs import Query, json_body, path_name, path_number, whole
from casemate.api.operations import Operation, Service, json_response
from casemate.api.problems import RequestError
from casemate.model.bundle import DIGEST_PATTERN
from casemate.model.deployment import Alias, AliasTarget, DeployedFunction, Version
from casemate.model.invocation import InvocationRecord, RecordFilter
from casemate.model.principal import Action
from casemate.model.trigger import ScheduleStatus, TriggerKind
from casemate.operations.fields import Name

MAX_TARGETS = 16
MAX_TOGETHER = 100
"""Functions that are deployed at once."""

VersionNumber = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
"""Bounded by what every JSON reader can hold exactly (RFC 8259, section 6)."""


class Functions(msgspec.Struct, frozen=True, kw_only=True):
    """Every function of the node."""

    functions: tuple[DeployedFunction, ...]


class Deployment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bundle to deploy. With `dry_run` it is started once and nothing is changed."""

    digest: Annotated[str, msgspec.Meta(pattern=whole(DIGEST_PATTERN))]
    dry_run: bool = False
    approve: bool = False
    """True lets the function have more than it was granted before; needs `grant:approve`."""


class BundleOf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bundle that is to be live as a function."""

    project: Name
    function: Name
    digest: Annotated[str, msgspec.Meta(pattern=whole(DIGEST_PATTERN))]


class Deployments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bundles to deploy at once: all of them, or none."""

    functions: Annotated[tuple[BundleOf, ...], msgspec.Meta(min_length=1, max_length=MAX_TOGETHER)]
    approve: bool = False
    """True lets the functions have more than they were granted before; needs `grant:approve`."""


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    """The versions that are live now, in the order in which they were asked for."""

    versions: tuple[Version, ...]


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """The bundle that a dry run has started without an error."""

    digest: str


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A share of an alias in per cent."""

    version: VersionNumber
    weight: Annotated[int, msgspec.Meta(ge=1, le=100)]


class Targets(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an alias shall point: different versions whose weights add up to 100."""

    targets: Annotated[tuple[Target, ...], msgspec.Meta(min_length=1, max_length=MAX_TARGETS)]


class Schedules(msgspec.Struct, frozen=True, kw_only=True):
    """The schedules of a function, by name, and how the newest invocation of theirs ended."""

    schedules: tuple[ScheduleStatus, ...]
    last: InvocationRecord | None = None
    """None without one, and for those who may not read invocations."""


_SCHEDULED = RecordFilter(trigger=TriggerKind.SCHEDULE.value)


class Rollback(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The version to go back to; without one, the one that all callers were sent to before."""

    to: VersionNumber | None = None


def _function(request: Request) -> tuple[str, str]:
    return path_name(request, "project"), path_name(request, "function")


async def _list(request: Request, service: Service) -> Response:
    Query(request).end()
    visible = tuple(
        deployed
        for deployed in await service.control.functions()
        if service.may(request, Action.FUNCTION_READ, function_of(deployed.project, deployed.name))
    )
    return json_response(Functions(functions=visible))


async def _show(request: Request, service: Service) -> Response:
    Query(request).end()
    return json_response(await service.control.function(*_function(request)))


async def _remove(request: Request, service: Service) -> Response:
    Query(request).end()
    await service.control.remove(*_function(request), by=principal(request).text)
    return Response(status_code=HTTPStatus.NO_CONTENT.value)


async def _remove_version(request: Request, service: Service) -> Response:
    project, name = _function(request)
    number = path_number(request, "number")
    Query(request).end()
    await service.control.remove_version(project, name, number, by=principal(request).text)
    return Response(status_code=HTTPStatus.NO_CONTENT.value)


async def _deploy(request: Request, service: Service) -> Response:
    project, name = _function(request)
    Query(request).end()
    body = await json_body(request, Deployment)
    if body.dry_run:
        await service.control.start_once(project, name, body.digest)
        return json_response(Started(digest=body.digest))
    if body.approve:
        service.require(request, Action.GRANT_APPROVE, function_of(project, name))
    version = await service.control.deploy(
        project, name, body.digest, approve=body.approve, by=principal(request).text
    )
    return json_response(version, HTTPStatus.CREATED)


async def _deploy_all(request: Request, service: Service) -> Response:
    Query(request).end()
    body = await json_body(request, Deployments)
    names = [(one.project, one.function) for one in body.functions]
    if len(set(names)) != len(names):
        raise RequestError(
            HTTPStatus.BAD_REQUEST, "A function is named more than once, expected each one once."
        )
    for name in names:
        service.require(request, Action.FUNCTION_DEPLOY, function_of(*name))
        if body.approve:
            service.require(request, Action.GRANT_APPROVE, function_of(*name))
    versions = await service.control.deploy_all(
        [DeploymentOf(one.project, one.function, one.digest) for one in body.functions],
        approve=body.approve,
        by=principal(request).text,
    )
    return json_response(Deployed(versions=versions), HTTPStatus.CREATED)


async def _set_alias(request: Request, service: Service) -> Response:
    project, function_name = _function(request)
    name = path_name(request, "name")
    Query(request).end()
    targets = (await json_body(request, Targets)).targets
    total = sum(target.weight for target in targets)
    if total != 100:
        raise RequestError(
            HTTPStatus.BAD_REQUEST, f"The weights add up to {total}, expected exactly 100."
        )
    if len({target.version for target in targets}) != len(targets):
        raise RequestError(
            HTTPStatus.BAD_REQUEST, "A version is named more than once, expected each one once."
        )
    alias = await service.control.set_alias(
        project,
        function_name,
        name,
        [AliasTarget(version=target.version, weight=target.weight) for target in targets],
        by=principal(request).text,
    )
    return json_response(alias)


async def _rollback(request: Request, service: Service) -> Response:
    project, name = _function(request)
    Query(request).end()
    body = await json_body(request, Rollback, default=Rollback())
    return json_response(
        await service.control.rollback(project, name, body.to, by=principal(request).text)
    )


_PATH = "/functions/{project}/{function}"


async def _schedules(request: Request, service: Service) -> Response:
    project, name = _function(request)
    Query(request).end()
    await service.control.function(project, name)
    last: tuple[InvocationRecord, ...] = ()
    if service.may(request, Action.INVOCATION_READ, function_of(project, name)):
        last = await service.control.invocations(
            project=project, function=name, limit=1, only=_SCHEDULED
        )
    return json_response(
        Schedules(schedules=service.schedules(project, name), last=last[0] if last else None)
    )


OPERATIONS = (
    Operation(
        method="POST",
        path="/deployments",
        id="deployFunctions",
        tag="functions",
        summary="Deploy several bundles at once: all of them are live afterwards, or none",
        description=(
            "Needs `function:deploy` on each. Every one is checked as if the others were live, and "
            "started once, before any becomes live; `function` of a problem names the first that "
            "is in the way."
        ),
        endpoint=_deploy_all,
        body=Deployments,
        status=HTTPStatus.CREATED,
        response=Deployed,
        problems=(404, 409, 413, 415, 422, 503),
    ),
    Operation(
        method="GET",
        path="/functions",
        id="listFunctions",
        tag="functions",
        summary="List every deployed function with its versions and aliases",
        endpoint=_list,
        response=Functions,
    ),
    Operation(
        method="GET",
        path=_PATH,
        id="showFunction",
        tag="functions",
        summary="Show one function",
        endpoint=_show,
        action=Action.FUNCTION_READ,
        resource=function,
        response=DeployedFunction,
        problems=(404,),
    ),
    Operation(
        method="DELETE",
        path=_PATH,
        id="removeFunction",
        tag="functions",
        summary="Remove a function with all its versions and aliases",
        endpoint=_remove,
        action=Action.FUNCTION_REMOVE,
        resource=function,
        status=HTTPStatus.NO_CONTENT,
        problems=(404,),
    ),
    Operation(
        method="POST",
        path=_PATH + "/versions",
        id="deployVersion",
        tag="functions",
        summary="Deploy a bundle as the next version and point `live` at it",
        description=(
            "The node first starts the function once. If its handler cannot be imported the "
            "answer is 422, whose `failure` holds the type, message and trace, and nothing is "
            "deployed. The bundle must have been uploaded before."
        ),
        endpoint=_deploy,
        action=Action.FUNCTION_DEPLOY,
        resource=function,
        body=Deployment,
        status=HTTPStatus.CREATED,
        response=Version,
        other_statuses=((HTTPStatus.OK, "The dry run started the function.", Started),),
        problems=(404, 409, 413, 415, 422),
    ),
    Operation(
        method="DELETE",
        path=_PATH + "/versions/{number}",
        id="removeVersion",
        tag="functions",
        summary="Remove a version that no alias leads to",
        description=(
            "What `live` was before the version was replaced cannot be gone back to then. Events "
            "that are kept for the version become dead letters that say so."
        ),
        endpoint=_remove_version,
        action=Action.FUNCTION_REMOVE,
        resource=function,
        status=HTTPStatus.NO_CONTENT,
        problems=(404, 409),
    ),
    Operation(
        method="PUT",
        path=_PATH + "/aliases/{name}",
        id="setAlias",
        tag="functions",
        summary="Point an alias at versions by weight",
        endpoint=_set_alias,
        action=Action.FUNCTION_ALIAS,
        resource=function,
        body=Targets,
        response=Alias,
        problems=(404, 409, 413, 415, 422),
    ),
    Operation(
        method="GET",
        path=_PATH + "/schedules",
        id="listSchedules",
        tag="functions",
        summary="List the schedules of a function: when each is due, and how the last run ended",
        endpoint=_schedules,
        response=Schedules,
        problems=(404,),
        action=Action.FUNCTION_READ,
        resource=function,
    ),
    Operation(
        method="POST",
        path=_PATH + "/rollback",
        id="rollback",
        tag="functions",
        summary="Point `live` back at what it was, or at a version",
        description=(
            "Without a body, `live` goes back to the version that all callers were sent to before: "
            "not to a share between versions, and not to one that was itself taken back."
        ),
        endpoint=_rollback,
        action=Action.FUNCTION_ALIAS,
        resource=function,
        body=Rollback,
        body_optional=True,
        response=Alias,
        problems=(404, 409, 413, 415, 422),
    ),
)
