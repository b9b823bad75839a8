"""The control API as one ASGI application."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from casemate.api import (
    access,
    accounts,
    advisories,
    backup,
    baselines,
    budgets,
    bundles,
    check,
    data,
    decoys,
    delivery,
    error_groups,
    evidence,
    findings,
    functions,
    grants,
    incidents,
    journal,
    metrics,
    node,
    node_audit,
    nodes,
    playbooks,
    policy,
    quarantine,
    recordings,
    records,
    restrictions,
    rotations,
    routes,
    secrets,
    signing,
    sources,
    traces,
    trials,
    triggers,
    usage,
)
from casemate.api.authentication import RequireCredential
from casemate.api.openapi import describe
from casemate.api.path_route import PathRoute
from casemate.api.performing import Call
from casemate.api.problems import problem_response, response_to
from casemate.api.served import Served, all_served
from casemate.api.service import Service
from casemate.model.errors import UnavailableError
from casemate.operations import node as node_operations
from casemate.operations.declaration import JSON
from casemate.operations.node import Openapi

PREFIX = "/api/v1"


@node.performs(Openapi)
async def _openapi(_operation: Openapi, _call: Call) -> Response:
    # Any credential may ask for it, and to make it takes a tenth of a second.
    return Response(await asyncio.to_thread(_encoded), media_type=JSON)


_encoding = threading.Lock()


def _encoded() -> bytes:
    with _encoding:  # many may ask before it is there, and it is made once
        return _made()


@cache
def _made() -> bytes:
    return msgspec.json.encode(document())


OPERATIONS = (
    *all_served(node_operations, node.performs),
    *nodes.OPERATIONS,
    *node_audit.OPERATIONS,
    *access.OPERATIONS,
    *functions.OPERATIONS,
    *bundles.OPERATIONS,
    *signing.OPERATIONS,
    *records.OPERATIONS,
    *traces.OPERATIONS,
    *metrics.OPERATIONS,
    *usage.OPERATIONS,
    *budgets.OPERATIONS,
    *error_groups.OPERATIONS,
    *journal.OPERATIONS,
    *recordings.OPERATIONS,
    *findings.OPERATIONS,
    *incidents.OPERATIONS,
    *playbooks.OPERATIONS,
    *evidence.OPERATIONS,
    *grants.OPERATIONS,
    *baselines.OPERATIONS,
    *trials.OPERATIONS,
    *quarantine.OPERATIONS,
    *restrictions.OPERATIONS,
    *rotations.OPERATIONS,
    *advisories.OPERATIONS,
    *data.OPERATIONS,
    *delivery.OPERATIONS,
    *secrets.OPERATIONS,
    *decoys.OPERATIONS,
    *accounts.OPERATIONS,
    *policy.OPERATIONS,
    *backup.OPERATIONS,
    *check.OPERATIONS,
    *routes.OPERATIONS,
    *sources.OPERATIONS,
    *triggers.OPERATIONS,
)
"""Every operation of the API; there is no route that is not declared here."""


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the API."""
    return describe(PREFIX, [operation.form for operation in OPERATIONS])


def create_app(service: Service) -> Starlette:
    """Return the API on top of `service`, to be mounted where paths start with `/api/v1`."""
    by_path: dict[str, dict[str, Served]] = {}
    for operation in OPERATIONS:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    app = Starlette(
        routes=[
            PathRoute(PREFIX + path, _dispatch(methods, service), methods)
            for path, methods in by_path.items()
        ],
        middleware=[
            Middleware(
                RequireCredential,
                authenticate=service.accounts.authenticate,
                happened=service.facts.happened,
                open_paths=frozenset(
                    (operation.method, PREFIX + operation.path)
                    for operation in OPERATIONS
                    if not operation.authenticated
                ),
            )
        ],
        exception_handlers={HTTPException: _not_routed},
    )
    app.router.redirect_slashes = False
    return app


def _dispatch(
    operations: dict[str, Served], service: Service
) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of one path: decides, acts, turns what is raised into a problem."""

    async def endpoint(request: Request) -> Response:
        # Only methods of the route get here; HEAD stands for GET where it is not an operation.
        operation = operations.get(request.method) or operations["GET"]
        try:
            if operation.authenticated and (stale := service.nodes.standing.stale()):
                raise UnavailableError(stale)
            if operation.action is not None:
                service.require(request, operation.action, operation.resource(request))
            if operation.anywhere is not None:
                service.require_anywhere(request, operation.anywhere)
            return await operation.endpoint(request, service)
        except Exception as error:  # noqa: BLE001 - the boundary: everything becomes a problem
            return response_to(error)

    return endpoint


async def _not_routed(request: Request, error: Exception) -> Response:
    """Answer a path or method that does not exist."""
    if getattr(error, "status_code", None) == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(sorted(_methods(request)))
        return problem_response(
            HTTPStatus.METHOD_NOT_ALLOWED,
            f"The method is {request.method[:20]}, expected {allowed or 'another'}.",
            headers={"Allow": allowed},
        )
    return problem_response(
        HTTPStatus.NOT_FOUND,
        "There is no such path.",
        next_step=f"See GET {PREFIX}/openapi.json for those that exist.",
    )


def _methods(request: Request) -> set[str]:
    """Return what may be asked of a path, by all routes that lead there: several may."""
    return {
        method
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }
