"""Operations on whose routes are whose: which paths and host names projects were given."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from casemate.api.authorization import principal
from casemate.api.inputs import Query, json_body, path_name, whole
from casemate.api.operations import Operation, Service, json_response
from casemate.api.problems import RequestError
from casemate.model.principal import Action
from casemate.model.route import HOST_PATTERN, MAX_CLAIMS, PREFIX_PATTERN, RouteClaim, is_reserved


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What was given to projects."""

    claims: tuple[RouteClaim, ...]


Prefix = Annotated[str, msgspec.Meta(pattern=whole(PREFIX_PATTERN))]
Host = Annotated[str, msgspec.Meta(pattern=whole(HOST_PATTERN))]


class Claim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a project is given, in place of what it had. Empty takes everything back."""

    prefixes: Annotated[tuple[Prefix, ...], msgspec.Meta(max_length=MAX_CLAIMS)] = ()
    """First segments such as `/payments`; `/` alone is every path of the shared host."""
    hosts: Annotated[tuple[Host, ...], msgspec.Meta(max_length=MAX_CLAIMS)] = ()
    """Host names in lower case; with one the project's routes answer there and only there."""


async def _list(request: Request, service: Service) -> Response:
    Query(request).end()
    return json_response(Claims(claims=await service.control.route_claims()))


async def _claim(request: Request, service: Service) -> Response:
    project = path_name(request, "name")
    Query(request).end()
    body = await json_body(request, Claim)
    for prefix in body.prefixes:
        if is_reserved(prefix):
            raise RequestError(
                HTTPStatus.BAD_REQUEST, f"{prefix} is the node's own and cannot be given away."
            )
    claim = RouteClaim(project=project, prefixes=body.prefixes, hosts=body.hosts)
    await service.control.claim_routes(claim, by=principal(request).text)
    return json_response(claim)


OPERATIONS = (
    Operation(
        method="GET",
        path="/route-claims",
        id="listRouteClaims",
        tag="routes",
        summary="List which paths and host names were given to which projects",
        endpoint=_list,
        action=Action.NODE_READ,
        response=Claims,
    ),
    Operation(
        method="PUT",
        path="/route-claims/{name}",
        id="claimRoutes",
        tag="routes",
        summary="Give paths or host names to a project, in place of what it had",
        description=(
            "No other project can have a route there then. 409 if another project has been given "
            "a part of it, or has a route there."
        ),
        endpoint=_claim,
        action=Action.ROUTE_WRITE,
        body=Claim,
        response=RouteClaim,
        problems=(409, 413, 415),
    ),
)
