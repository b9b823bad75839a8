"""Operations on deployed functions: list, show, deploy, alias, roll back, remove."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from casemate.api.authorization import function, function_of, principal
from casemate.api.inputs import Query, json_body, path_name, path_number, whole
from casemate.api.operations import Operation, Service, json_response
from casemate.api.problems import RequestError
from casemate.model.bundle import DIGEST_PATTERN
from casemate.model.deployment import Alias, AliasTarget, DeployedFunction, Version
from casemate.model.principal import Action

MAX_TARGETS = 16

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


class Rollback(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The version to go back to; without one, the state of `live` before its last change."""

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

OPERATIONS = (
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
        method="POST",
        path=_PATH + "/rollback",
        id="rollback",
        tag="functions",
        summary="Point `live` back at what it was, or at a version",
        description="Without a body, `live` gets the state it had before its last change.",
        endpoint=_rollback,
        action=Action.FUNCTION_ALIAS,
        resource=function,
        body=Rollback,
        body_optional=True,
        response=Alias,
        problems=(404, 409, 413, 415, 422),
    ),
)
