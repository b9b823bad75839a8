"""One decision by Cedar: the request is checked, turned into entities and evaluated.

Ids reach Cedar as data (type and id), never as part of its text.
"""

from __future__ import annotations

from typing import Any

from cedarpy import Decision as CedarDecision
from cedarpy import PolicySet, is_authorized

from casemate.model.principal import (
    Action,
    Decision,
    Principal,
    PrincipalKind,
    Resource,
    ResourceKind,
    RoleBinding,
)
from casemate.policy.actions import RULES
from casemate.policy.errors import RequestNotDecidableError
from casemate.policy.identifiers import (
    ACTION,
    NAME,
    NODE_ID,
    PRINCIPAL_IDS,
    RESOURCE_NAMES,
    ROLE,
    entity_type,
)

Uid = dict[str, str]

_NODE_UID: Uid = {"type": entity_type(ResourceKind.NODE), "id": NODE_ID}
_NODE_ENTITY = {"uid": _NODE_UID, "attrs": {}, "parents": []}
_WITH_ROLES = (PrincipalKind.USER, PrincipalKind.TOKEN)
MAX_ROLES = 64
"""Roles of one principal that count for one resource."""


def evaluate(
    policies: PolicySet, principal: Principal, action: Action, resource: Resource, granted: bool
) -> Decision:
    """Decide with these policies. Raises RequestNotDecidableError for what cannot exist."""
    check_request(principal, action, resource)
    result = is_authorized(
        {
            "principal": _principal_uid(principal),
            "action": {"type": ACTION, "id": action.value},
            "resource": _resource_uid(resource),
            "context": {"granted": granted is True},
        },
        policies,
        _entities(principal, action, resource),
    )
    errors = tuple(str(error) for error in result.diagnostics.errors)
    return Decision(
        allowed=result.decision is CedarDecision.Allow and not errors,
        reasons=tuple(sorted(result.diagnostics.reasons)),
        errors=errors,
    )


def check_request(principal: Principal, action: Action, resource: Resource) -> None:
    """Raise RequestNotDecidableError unless all three can exist and belong together."""
    if type(action) is not Action:
        raise RequestNotDecidableError("The action is none of those that exist.")
    pattern = PRINCIPAL_IDS[PrincipalKind(principal.kind)]
    if pattern.fullmatch(principal.id) is None:
        raise RequestNotDecidableError(
            f"The principal's id is not that of a {principal.kind.value}."
        )
    if resource.kind not in RULES[action].resources:
        raise RequestNotDecidableError(
            f"{action.value} is not an action on a {resource.kind.value}."
        )
    if not _is_resource(resource):
        raise RequestNotDecidableError(
            f"The resource's names are not those of a {resource.kind.value}."
        )


def _is_resource(resource: Resource) -> bool:
    if type(resource.internal) is not bool or type(resource.public) is not bool:
        return False
    if resource.kind is not ResourceKind.FUNCTION and (resource.internal or resource.public):
        return False
    if resource.kind is ResourceKind.NODE:
        return resource.project == "" and resource.name == ""
    if NAME.fullmatch(resource.project) is None:
        return False
    if resource.kind is ResourceKind.PROJECT:
        return resource.name == ""
    return RESOURCE_NAMES[resource.kind].fullmatch(resource.name) is not None


def covers(binding: RoleBinding, resource: Resource) -> bool:
    """Tell whether a role binding is in force for a resource.

    One without a project covers everything, one with a project that project and what is in it,
    one with a function that function alone.
    """
    if binding.project is None:
        return binding.function is None
    if resource.kind is ResourceKind.NODE or binding.project != resource.project:
        return False
    if binding.function is None:
        return True
    return resource.kind is ResourceKind.FUNCTION and binding.function == resource.name


def roles_on(principal: Principal, resource: Resource) -> tuple[str, ...]:
    """Return the roles that a principal has where the resource is, sorted."""
    if principal.kind not in _WITH_ROLES:
        return ()
    found = {
        binding.role
        for binding in principal.bindings
        if covers(binding, resource) and NAME.fullmatch(binding.role) is not None
    }
    if len(found) > MAX_ROLES:
        raise RequestNotDecidableError(
            f"The principal has {len(found)} roles here, expected at most {MAX_ROLES}."
        )
    return tuple(sorted(found))


def _principal_uid(principal: Principal) -> Uid:
    return {"type": entity_type(principal.kind), "id": principal.id}


def _project_uid(project: str) -> Uid:
    return {"type": entity_type(ResourceKind.PROJECT), "id": project}


def _resource_uid(resource: Resource) -> Uid:
    if resource.kind is ResourceKind.NODE:
        return _NODE_UID
    if resource.kind is ResourceKind.PROJECT:
        return _project_uid(resource.project)
    return {"type": entity_type(resource.kind), "id": f"{resource.project}/{resource.name}"}


def _entities(principal: Principal, action: Action, resource: Resource) -> list[dict[str, Any]]:
    """Return the entities of one request: both ends, what contains them, and the action."""
    found = {resource.text: _resource_entity(resource), "node": _NODE_ENTITY}
    projects = {resource.project} - {""}
    if principal.kind is PrincipalKind.FUNCTION:
        project, _, name = principal.id.partition("/")
        projects.add(project)
        itself = Resource(kind=ResourceKind.FUNCTION, project=project, name=name)
        found.setdefault(itself.text, _resource_entity(itself))
    else:
        found[principal.text] = _principal_entity(principal, resource)
    for name in projects:
        container = Resource(kind=ResourceKind.PROJECT, project=name)
        found.setdefault(container.text, _resource_entity(container))
    groups = [{"type": ACTION, "id": group} for group in RULES[action].groups]
    uid = {"type": ACTION, "id": action.value}
    return [*found.values(), {"uid": uid, "attrs": {}, "parents": groups}]


def _principal_entity(principal: Principal, resource: Resource) -> dict[str, Any]:
    roles = [{"type": ROLE, "id": role} for role in roles_on(principal, resource)]
    attributes = {}
    if principal.kind is PrincipalKind.TRIGGER:
        project, function, _ = principal.id.split("/", 2)
        attributes = {"project": project, "function": function}
    return {"uid": _principal_uid(principal), "attrs": attributes, "parents": roles}


def _resource_entity(resource: Resource) -> dict[str, Any]:
    uid = _resource_uid(resource)
    if resource.kind is ResourceKind.NODE:
        return _NODE_ENTITY
    if resource.kind is ResourceKind.PROJECT:
        names: dict[str, Any] = {"project": resource.project, "name": resource.project}
        return {"uid": uid, "attrs": names, "parents": [_NODE_UID]}
    names = {"project": resource.project, "name": resource.name}
    if resource.kind is ResourceKind.FUNCTION:
        names |= {"internal": resource.internal, "public": resource.public}
    return {"uid": uid, "attrs": names, "parents": [_project_uid(resource.project)]}
