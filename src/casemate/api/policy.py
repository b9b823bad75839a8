"""Operations on policies: list, show, put and remove custom files, and ask for a decision."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from casemate.api.authorization import node, principal
from casemate.api.inputs import Query, json_body, path_name
from casemate.api.operations import Operation, Service, json_response
from casemate.model.account import PolicyFile
from casemate.model.errors import NotFoundError
from casemate.model.function import FunctionSpec
from casemate.model.grant import Grant, GrantKind
from casemate.model.granted import CompiledGrants
from casemate.model.principal import (
    NODE,
    Action,
    Decision,
    Principal,
    PrincipalKind,
    Resource,
    ResourceKind,
)
from casemate.policy import PolicySummary, parse_action, parse_principal, parse_resource


class PolicyFileView(msgspec.Struct, frozen=True, kw_only=True):
    """A custom policy file without its text."""

    name: str
    changed_at: float
    changed_by: str
    policies: tuple[PolicySummary, ...]


class Policies(msgspec.Struct, frozen=True, kw_only=True):
    """The custom policies in force."""

    revision: int
    """Counts up with every change, from 1 at each start of the node."""
    roles: tuple[str, ...]
    """Every role there is, the built-in ones included."""
    files: tuple[PolicyFileView, ...]


class PolicyText(msgspec.Struct, frozen=True, kw_only=True):
    """A custom policy file."""

    name: str
    text: str
    changed_at: float
    changed_by: str


class NewPolicyText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The text that a policy file shall have."""

    text: str


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """May this principal do this to that? With the roles and grants that the node knows of."""

    principal: str
    action: str
    resource: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What would be decided now, and by which policies."""

    principal: str
    action: str
    resource: str
    granted: bool
    """The function's manifest grants it; always false for people."""
    allowed: bool
    reasons: tuple[str, ...]
    """Ids of the policies that decided; none means that nothing allows it."""
    errors: tuple[str, ...]
    revision: int


def _view(file: PolicyFile, service: Service) -> PolicyFileView:
    return PolicyFileView(
        name=file.name,
        changed_at=file.changed_at,
        changed_by=file.changed_by,
        policies=tuple(p for p in service.policy.policies() if p.file == f"{file.name}.cedar"),
    )


def _find(service: Service, name: str) -> PolicyFile:
    for file in service.policy.files:
        if file.name == name:
            return file
    raise NotFoundError(
        f"There is no policy file {name}.", next_step="`casemate policy ls` lists them."
    )


async def _list(request: Request, service: Service) -> Response:
    Query(request).end()
    policy = service.policy
    return json_response(
        Policies(
            revision=policy.revision,
            roles=tuple(sorted(policy.roles())),
            files=tuple(_view(file, service) for file in policy.files),
        )
    )


async def _show(request: Request, service: Service) -> Response:
    Query(request).end()
    file = _find(service, path_name(request, "name"))
    return json_response(
        PolicyText(
            name=file.name,
            text=file.text,
            changed_at=file.changed_at,
            changed_by=file.changed_by,
        )
    )


async def _put(request: Request, service: Service) -> Response:
    Query(request).end()
    body = await json_body(request, NewPolicyText)
    maker = principal(request)
    file = PolicyFile(
        name=path_name(request, "name"),
        text=body.text,
        changed_at=time.time(),
        changed_by=maker.text,
    )
    async with service.policy.changes:
        files = [f for f in service.policy.files if f.name != file.name]
        prepared = await asyncio.to_thread(service.policy.prepare, [*files, file], maker=maker)
        await service.store.put_policy(file)
        service.policy.activate(prepared)
    return json_response(_view(file, service))


async def _remove(request: Request, service: Service) -> Response:
    Query(request).end()
    name = path_name(request, "name")
    async with service.policy.changes:
        _find(service, name)
        files = [f for f in service.policy.files if f.name != name]
        prepared = await asyncio.to_thread(service.policy.prepare, files, maker=principal(request))
        await service.store.remove_policy(name)
        service.policy.activate(prepared)
    return Response(status_code=HTTPStatus.NO_CONTENT.value)


async def _decide(request: Request, service: Service) -> Response:
    Query(request).end()
    body = await json_body(request, Question)
    asked_for = parse_principal(body.principal)
    action, resource = parse_action(body.action), parse_resource(body.resource)
    if principal(request).text != asked_for.text:
        service.require(request, Action.POLICY_READ, NODE)
    found = service.accounts.principal_of(asked_for.text)
    if found is None:
        raise NotFoundError(
            f"There is no principal {asked_for.text}.",
            next_step="`casemate users ls` and `casemate tokens ls` list them.",
        )
    resource = await _with_settings(service, resource)
    granted = await _granted(service, found, action, resource)
    decision = service.policy.decide(found, action, resource, granted=granted)
    return json_response(
        Answer(
            principal=found.text,
            action=action.value,
            resource=resource.text,
            granted=granted,
            allowed=decision.allowed,
            reasons=decision.reasons if _may_see(request, service, decision, resource) else (),
            errors=decision.errors,
            revision=service.policy.revision,
        )
    )


def _may_see(request: Request, service: Service, decision: Decision, resource: Resource) -> bool:
    """Tell whether to name what denied: it shows that a function exists, and how it is set."""
    if decision.allowed or resource.kind is not ResourceKind.FUNCTION:
        return True
    return service.may(request, Action.FUNCTION_READ, resource)


async def _live_spec(service: Service, project: str, name: str) -> FunctionSpec | None:
    """Return what the newest live version of a function declares; None if there is none."""
    try:
        function = await service.control.function(project, name)
    except NotFoundError:
        return None
    targets = next((a.targets for a in function.aliases if a.name == "live"), ())
    live = {target.version for target in targets if target.weight > 0}
    specs = [version.spec for version in function.versions if version.number in live]
    return specs[-1] if specs else None


async def _with_settings(service: Service, resource: Resource) -> Resource:
    if resource.kind is not ResourceKind.FUNCTION:
        return resource
    spec = await _live_spec(service, resource.project, resource.name)
    if spec is None:
        return resource
    return msgspec.structs.replace(resource, internal=spec.internal, public=spec.public)


async def _granted(service: Service, asking: Principal, action: Action, resource: Resource) -> bool:
    """Tell whether the live version of an asking function is granted this."""
    if asking.kind is not PrincipalKind.FUNCTION:
        return False
    project, _, name = asking.id.partition("/")
    spec = await _live_spec(service, project, name)
    if spec is None or project != resource.project or resource.name == "":
        return False
    kind = GrantKind.EGRESS if resource.kind is ResourceKind.HOST else GrantKind(resource.kind)
    grants = _anywhere(spec.grants)
    return grants.find(kind, resource.name, action.value.partition(":")[2]) is not None


def _anywhere(grants: tuple[Grant, ...]) -> CompiledGrants:
    """Return grants without their prefixes: a question names a bucket, not a key."""
    return CompiledGrants(msgspec.structs.replace(grant, prefixes=()) for grant in grants)


OPERATIONS = (
    Operation(
        method="GET",
        path="/policies",
        id="listPolicies",
        tag="policies",
        summary="List the custom policies and all roles",
        endpoint=_list,
        response=Policies,
        action=Action.POLICY_READ,
        resource=node,
    ),
    Operation(
        method="GET",
        path="/policies/{name}",
        id="showPolicy",
        tag="policies",
        summary="Return a custom policy file",
        endpoint=_show,
        response=PolicyText,
        problems=(404,),
        action=Action.POLICY_READ,
        resource=node,
    ),
    Operation(
        method="PUT",
        path="/policies/{name}",
        id="putPolicy",
        tag="policies",
        summary="Check a custom policy file and put it in force at once",
        endpoint=_put,
        body=NewPolicyText,
        response=PolicyFileView,
        problems=(413, 415, 422),
        action=Action.POLICY_WRITE,
        resource=node,
    ),
    Operation(
        method="DELETE",
        path="/policies/{name}",
        id="removePolicy",
        tag="policies",
        summary="Remove a custom policy file",
        endpoint=_remove,
        status=HTTPStatus.NO_CONTENT,
        problems=(404, 422),
        action=Action.POLICY_WRITE,
        resource=node,
    ),
    Operation(
        method="POST",
        path="/policy/decide",
        id="decide",
        tag="policies",
        summary="Say what a principal may do, and which policies decide that",
        description="Everybody may ask about themselves; about others with `policy:read`.",
        endpoint=_decide,
        body=Question,
        response=Answer,
        problems=(404, 413, 415, 422),
    ),
)
