"""The operation that tells what a function is granted, and what of it was used."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from casemate.api.authorization import function
from casemate.api.inputs import Query, path_name
from casemate.api.operations import Operation, Service, json_response, number_parameter
from casemate.model.denial import Denial, DenialKind, GrantApproval, GrantUse
from casemate.model.deployment import LIVE, DeployedFunction, Version
from casemate.model.errors import NotFoundError
from casemate.model.function import event_grants
from casemate.model.grant import Grant
from casemate.model.principal import Action

MAX_DENIALS = 100
"""Newest denied attempts that are looked through."""
MAX_VERSION = 2**53

_SHOWN_DENIALS = (DenialKind.CAPABILITY, DenialKind.EGRESS, DenialKind.GRANTS)


class FunctionGrants(msgspec.Struct, frozen=True, kw_only=True):
    """What one version of a function is granted, and what it made of it."""

    project: str
    function: str
    version: int
    deployed_at: float
    granted: tuple[Grant, ...]
    events: tuple[Grant, ...] = ()
    """What its triggers let it see and its destinations are sent, in the form of grants."""
    uses: tuple[GrantUse, ...]
    """Those of this version."""
    approvals: tuple[GrantApproval, ...]
    """Those of all versions, newest first."""
    denials: tuple[Denial, ...]
    """The newest attempts of any version to use what it was not granted, and the newest refused
    deploys; newest first."""


async def _show(request: Request, service: Service) -> Response:
    project, name = path_name(request, "project"), path_name(request, "function")
    query = Query(request)
    number = query.number("version", default=0, minimum=0, maximum=MAX_VERSION)
    query.end()
    version = _version(await service.control.function(project, name), number)
    uses = await service.control.grant_uses(project, name)
    approvals = await service.store.approvals(project, name)
    denials = await service.control.denials(
        project=project, function=name, invocation=None, limit=MAX_DENIALS
    )
    return json_response(
        FunctionGrants(
            project=project,
            function=name,
            version=version.number,
            deployed_at=version.created_at,
            granted=version.spec.grants,
            events=event_grants(version.spec),
            uses=tuple(use for use in uses if use.version == version.number),
            approvals=approvals,
            denials=tuple(denial for denial in denials if denial.kind in _SHOWN_DENIALS),
        )
    )


def _version(deployed: DeployedFunction, number: int) -> Version:
    """Return a version by its number; by 0 the live one that most callers are sent to."""
    wanted = number
    if not wanted:
        live = next((alias for alias in deployed.aliases if alias.name == LIVE), None)
        if live is None or not live.targets:
            raise NotFoundError(
                f"No version of {deployed.project}/{deployed.name} is live.",
                next_step="name a version: `?version=N`; `casemate show` lists them",
            )
        wanted = max(live.targets, key=lambda target: target.weight).version
    for version in deployed.versions:
        if version.number == wanted:
            return version
    raise NotFoundError(
        f"There is no version {wanted} of {deployed.project}/{deployed.name}.",
        next_step="`casemate show` lists the versions",
    )


OPERATIONS = (
    Operation(
        method="GET",
        path="/functions/{project}/{function}/grants",
        id="showGrants",
        tag="functions",
        summary="Show what a function is granted, what of it was used, and who approved it",
        endpoint=_show,
        action=Action.GRANT_READ,
        resource=function,
        query=(
            number_parameter(
                "version",
                "Which version; 0 is the live one that most callers are sent to.",
                default=0,
                minimum=0,
                maximum=MAX_VERSION,
            ),
        ),
        response=FunctionGrants,
        problems=(404,),
    ),
)
