"""Operations on the node itself: health, status."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response

import casemate
from casemate.api.control import NodeStatus
from casemate.api.health import NodeHealth
from casemate.api.inputs import Query
from casemate.api.operations import Operation, Service, json_response
from casemate.model.principal import Action


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Says that the node answers, and whether all is well; what is not is for the operator."""

    status: str
    """`ok` or `not ok`."""
    version: str


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Says whether the node can serve."""

    ready: bool


async def _health(request: Request, service: Service) -> Response:
    Query(request).end()
    status = "ok" if service.health().ok else "not ok"
    return json_response(Health(status=status, version=casemate.__version__))


async def _ready(request: Request, service: Service) -> Response:
    Query(request).end()
    ready = service.health().ready
    status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
    return json_response(Readiness(ready=ready), status)


async def _parts(request: Request, service: Service) -> Response:
    Query(request).end()
    return json_response(service.health())


async def _status(request: Request, service: Service) -> Response:
    Query(request).end()
    return json_response(await service.control.node_status())


OPERATIONS = (
    Operation(
        method="GET",
        path="/health",
        id="health",
        tag="node",
        summary="Tell whether the node answers and all is well; needs no credential",
        endpoint=_health,
        response=Health,
        authenticated=False,
    ),
    Operation(
        method="GET",
        path="/ready",
        id="ready",
        tag="node",
        summary="Tell whether the node can serve, with 503 if it cannot; needs no credential",
        endpoint=_ready,
        response=Readiness,
        authenticated=False,
    ),
    Operation(
        method="GET",
        path="/node/health",
        id="nodeHealth",
        tag="node",
        summary="Show how each part of the node is",
        endpoint=_parts,
        response=NodeHealth,
        action=Action.NODE_READ,
    ),
    Operation(
        method="GET",
        path="/node",
        id="nodeStatus",
        tag="node",
        summary="Show the node's protections, capacity and load",
        endpoint=_status,
        response=NodeStatus,
        action=Action.NODE_READ,
    ),
)
