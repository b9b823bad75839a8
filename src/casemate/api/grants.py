"""The operation that tells what a function is granted, and what of it was used."""

from __future__ import annotations

from collections.abc import Iterable

from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.capabilities.uses import is_of_package, package_use
from casemate.model.denial import DenialKind, GrantUse
from casemate.model.deployment import LIVE, DeployedFunction, Version
from casemate.model.errors import NotFoundError
from casemate.model.function import event_grants
from casemate.operations import grants
from casemate.operations.grants import FunctionGrants, ListApprovals, ListUses, ShowGrants
from casemate.operations.records import ListDenials

MAX_DENIALS = 100
"""Newest denied attempts that are looked through."""

_SHOWN_DENIALS = (
    DenialKind.CAPABILITY,
    DenialKind.EGRESS,
    DenialKind.GRANTS,
    DenialKind.PACKAGE,
)

performs = Performers()


@performs(ShowGrants)
async def _show(operation: ShowGrants, call: Call) -> FunctionGrants:
    project, name, service = operation.project, operation.function, call.service
    version = _version(await service.control.function(project, name), operation.version)
    recorded, number = service.control.recorded, version.number
    used = await recorded(ListUses(project=project, function=name))
    uses = [use for use in used if use.version == number]
    approvals = await service.store.read(ListApprovals(project=project, function=name))
    denied = await recorded(ListDenials(project=project, function=name, limit=MAX_DENIALS))
    return FunctionGrants(
        project=project,
        function=name,
        version=number,
        deployed_at=version.created_at,
        granted=version.spec.grants,
        events=event_grants(version.spec),
        uses=tuple(use for use in uses if not is_of_package(use)),
        others=_newest(use for use in used if use.version != number and not is_of_package(use)),
        packages=tuple(package_use(use) for use in uses if is_of_package(use)),
        approvals=approvals,
        denials=tuple(denial for denial in denied.denials if denial.kind in _SHOWN_DENIALS),
    )


def _newest(uses: Iterable[GrantUse]) -> tuple[GrantUse, ...]:
    """Return of each grant and action the use by the newest version."""
    found: dict[tuple[str, str], GrantUse] = {}
    for use in uses:
        known = found.setdefault((use.grant, use.action), use)
        if use.version > known.version:
            found[use.grant, use.action] = use
    return tuple(found.values())


def _version(deployed: DeployedFunction, number: int) -> Version:
    """Return a version by its number; by 0 the live one that most callers are sent to."""
    wanted = number
    if not wanted:
        live = next((alias for alias in deployed.aliases if alias.name == LIVE), None)
        if live is None or not live.targets:
            raise NotFoundError(
                f"No version of {deployed.project}/{deployed.name} is live.",
                next_step="Name a version: `?version=N`; `casemate show` lists them.",
            )
        wanted = max(live.targets, key=lambda target: target.weight).version
    for version in deployed.versions:
        if version.number == wanted:
            return version
    raise NotFoundError(
        f"There is no version {wanted} of {deployed.project}/{deployed.name}.",
        next_step="`casemate show` lists the versions.",
    )


OPERATIONS = all_served(grants, performs)
