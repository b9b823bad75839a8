"""Rights in words: what roles let do, and what manifests grant."""

from __future__ import annotations

from collections.abc import Iterator

from casemate.access_reviews.holders import Holder
from casemate.accounts import binding_text
from casemate.model.deployment import Version
from casemate.model.function import event_grants
from casemate.model.grant import Grant
from casemate.model.principal import RoleBinding
from casemate.operations.access import AccessKind

MAX_RIGHTS = 100
"""That are told of one; the rest is counted."""
_ROLES = {
    "owner": "may do everything",
    "developer": "deploys, calls and sees functions, reads and changes data, sets secrets",
    "operator": "runs it: backups, aliases, quarantine, removal, exceptions, approval of grants",
    "auditor": "sees everything but data and the values of secrets, and reviews access",
    "invoker": "calls functions",
}


def rights_of(holder: Holder, project: str | None) -> tuple[str, ...]:
    """Return the rights of one, in words; with a project only those of it."""
    if holder.kind is AccessKind.PROVIDER:
        return ("its word lets in the people who were added as known to it, with their roles",)
    if holder.version is not None:
        found = list(_of_version(holder.kind, holder.version))
    else:
        found = [
            _role(binding)
            for binding in holder.bindings
            if project is None or binding.project == project
        ]
    more = len(found) - MAX_RIGHTS
    return (*found[:MAX_RIGHTS], f"and {more} more") if more > 0 else tuple(found)


def _role(binding: RoleBinding) -> str:
    words = _ROLES.get(binding.role, "may do what the policies say that name this role")
    if binding.project is None:
        where = "on the whole node"
    elif binding.function is None:
        where = f"in the project {binding.project}"
    else:
        where = f"on the function {binding.project}/{binding.function}"
    return f"{binding_text(binding)}: {words}, {where}"


def _of_version(kind: AccessKind, version: Version) -> Iterator[str]:
    name = f"{version.project}/{version.function}"
    if kind is AccessKind.SOURCE:
        yield f"what it sends makes {name} run"
        return
    if kind is AccessKind.HOOK:
        yield f"who has its secret makes {name} run"
        return
    for grant in version.spec.grants:
        yield _grant(grant)
    by_events = event_grants(version.spec)
    for grant in by_events:
        yield f"{_grant(grant)} (by a trigger or destination)"
    if version.spec.public:
        yield "is called by everybody, without a credential"
    if not version.spec.grants and not by_events and not version.spec.public:
        yield "is granted nothing"


def _grant(grant: Grant) -> str:
    prefixes = f" below {', '.join(grant.prefixes)}" if grant.prefixes else ""
    return f"{grant.text}: {', '.join(grant.actions)}{prefixes}"
