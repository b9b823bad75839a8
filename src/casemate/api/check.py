"""The operations that check all that a node keeps."""

from __future__ import annotations

from http import HTTPStatus
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from casemate.api.inputs import Query
from casemate.api.operations import Operation, Service, json_response
from casemate.model.integrity import CheckReport
from casemate.model.principal import Action


class Checks(Protocol):
    """Checks the node, one check at a time."""

    def report(self) -> CheckReport:
        """Return how the present or latest check stands."""
        ...

    def start(self) -> CheckReport:
        """Begin a check unless one is under way."""
        ...


async def _get(request: Request, service: Service) -> Response:
    Query(request).end()
    return json_response(service.checks.report())


async def _start(request: Request, service: Service) -> Response:
    Query(request).end()
    return json_response(service.checks.start(), status=HTTPStatus.ACCEPTED)


OPERATIONS = (
    Operation(
        method="GET",
        path="/check",
        id="checkReport",
        tag="node",
        summary="Show what the latest check of the node's data has found",
        endpoint=_get,
        response=CheckReport,
        action=Action.NODE_READ,
    ),
    Operation(
        method="POST",
        path="/check",
        id="startCheck",
        tag="node",
        summary="Check everything that the node keeps",
        description=(
            "Reads all pages, counters, objects, bundles and the vault's files, and answers at "
            "once; `GET` tells how far it has come. A check that is under way in the background "
            "goes on at full speed."
        ),
        endpoint=_start,
        response=CheckReport,
        status=HTTPStatus.ACCEPTED,
        action=Action.NODE_BACKUP,
        problems=(409,),
    ),
)
