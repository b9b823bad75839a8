"""Operations on the node itself: health, status."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

import casemate
from casemate.api.control import NodeStatus
from casemate.api.inputs import Query
from casemate.api.operations import Operation, Service, json_response
from casemate.model.principal import Action


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Says that the node answers."""

    status: str
    version: str


async def _health(request: Request, _service: Service) -> Response:
    Query(request).end()
    return json_response(Health(status="ok", version=casemate.__version__))


async def _status(request: Request, service: Service) -> Response:
    Query(request).end()
    return json_response(await service.control.node_status())


OPERATIONS = (
    Operation(
        method="GET",
        path="/health",
        id="health",
        tag="node",
        summary="Tell whether the node answers; needs no credential",
        endpoint=_health,
        response=Health,
        authenticated=False,
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
