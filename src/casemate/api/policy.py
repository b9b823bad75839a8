"""Policies: list, show, put and remove custom files, and ask for a decision."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.api.service import Service
from casemate.model.account import PolicyFile
from casemate.model.errors import NoNamedError, NotFoundError
from casemate.model.function import FunctionSpec
from casemate.model.grant import Grant, GrantKind
from casemate.model.granted import CompiledGrants
from casemate.model.principal import (
    BUILT_IN_ROLES,
    NODE,
    OWNER,
    Action,
    Decision,
    Principal,
    PrincipalKind,
    Resource,
    ResourceKind,
    RoleBinding,
)
from casemate.model.still import require_still
from casemate.nodes.policies import TOPICS, renew
from casemate.operations import policies
from casemate.operations.declaration import Operation
from casemate.operations.policies import (
    Answer,
    Decide,
    KeepPolicy,
    ListPolicies,
    Policies,
    PolicyFileView,
    PutPolicy,
    RemovePolicy,
    ShowPolicy,
)
from casemate.policy import (
    CompiledPolicies,
    parse_action,
    parse_principal,
    parse_resource,
    require_visible,
)

performs = Performers()
_MOST_ROLES = 256
"""Roles of which is told whether they would allow something; each costs a decision."""


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
    raise NoNamedError(
        "policy",
        name,
        f"There is no policy file {name}.",
        next_step="`casemate policy ls` lists them.",
    )


@performs(ListPolicies)
async def _list(_operation: ListPolicies, call: Call) -> Policies:
    policy = call.service.policy
    return Policies(
        revision=policy.revision,
        roles=tuple(sorted(policy.roles())),
        files=tuple(_view(file, call.service) for file in policy.files),
    )


@performs(ShowPolicy)
async def _show(operation: ShowPolicy, call: Call) -> PolicyFile:
    return _find(call.service, operation.name)


@performs(PutPolicy)
async def _put(operation: PutPolicy, call: Call) -> PolicyFileView:
    service, maker, no_wider = call.service, call.principal, operation.no_wider
    if no_wider:  # a refusal tells what is in force
        service.require(call.request, Action.POLICY_READ, NODE)
    require_visible(operation.text, operation.name)
    file = PolicyFile(
        name=operation.name, text=operation.text, changed_at=time.time(), changed_by=maker.text
    )

    async def decide() -> tuple[CompiledPolicies, KeepPolicy]:
        files = [f for f in service.policy.files if f.name != file.name]
        prepared = await asyncio.to_thread(
            service.policy.prepare, [*files, file], maker=maker, no_wider=no_wider
        )
        require_still()
        return prepared, KeepPolicy(file=file)

    await _change(service, decide)
    return _view(file, service)


async def _change(
    service: Service,
    decide: Callable[[], Awaitable[tuple[CompiledPolicies, Operation[None]]]],
) -> None:
    """Put in force what is decided on the files that there are, whichever node changed them."""
    prepared: list[CompiledPolicies] = []

    async def operation() -> Operation[None]:
        compiled, change = await decide()
        prepared[:] = [compiled]
        return change

    async with service.policy.changes:
        again = partial(renew, service.store, service.policy)
        await service.nodes.decisions.make(operation, again, TOPICS)
        service.policy.activate(prepared[0])


@performs(RemovePolicy)
async def _remove(operation: RemovePolicy, call: Call) -> None:
    service, name = call.service, operation.name

    async def decide() -> tuple[CompiledPolicies, RemovePolicy]:
        _find(service, name)
        files = [f for f in service.policy.files if f.name != name]
        prepared = await asyncio.to_thread(service.policy.prepare, files, maker=call.principal)
        require_still()
        return prepared, operation

    await _change(service, decide)


@performs(Decide)
async def _decide(operation: Decide, call: Call) -> Answer:
    service = call.service
    asked_for = parse_principal(operation.principal)
    action, resource = parse_action(operation.action), parse_resource(operation.resource)
    if call.principal.text != asked_for.text:
        service.require(call.request, Action.POLICY_READ, NODE)
    found = service.accounts.principal_of(asked_for.text)
    if found is None:
        raise NotFoundError(
            f"There is no principal {asked_for.text}.",
            next_step="`casemate users ls` and `casemate tokens ls` list them.",
        )
    if found.kind in (PrincipalKind.FUNCTION, PrincipalKind.TRIGGER):
        project, function = found.id.split("/")[:2]
        await service.control.function(project, function)  # NotFoundError
    named, resource = resource, await _with_settings(service, resource)
    granted = await _granted(service, found, action, resource)
    decision = service.policy.decide(found, action, resource, granted=granted)
    sees = _may_see(call, decision, resource)
    return Answer(
        principal=found.text,
        action=action.value,
        resource=resource.text,
        granted=granted,
        allowed=decision.allowed,
        reasons=decision.reasons if sees else (),
        errors=decision.errors,
        revision=service.policy.revision,
        roles=()
        if decision.allowed or found.kind not in (PrincipalKind.USER, PrincipalKind.TOKEN)
        else await _allowing(call, found, action, resource if sees else named),
    )


async def _allowing(
    call: Call, asked_for: Principal, action: Action, resource: Resource
) -> tuple[str, ...]:
    """Return the roles that would let somebody do this, of those that who asks may know of.

    The one that may do everything comes last.
    """
    policy = call.service.policy
    known = set(BUILT_IN_ROLES)
    if call.may(Action.POLICY_READ, NODE):
        known |= policy.roles()
    project = resource.project or None

    def allows(role: str) -> bool:
        bindings = (*asked_for.bindings, RoleBinding(role=role, project=project))
        with_role = msgspec.structs.replace(asked_for, bindings=bindings)
        return policy.decide(with_role, action, resource).allowed

    def found() -> tuple[str, ...]:
        return tuple(filter(allows, sorted(known, key=lambda role: (role == OWNER, role))))

    if len(known) > _MOST_ROLES:
        known = set(BUILT_IN_ROLES)
    return await asyncio.to_thread(found)


def _may_see(call: Call, decision: Decision, resource: Resource) -> bool:
    """Tell whether to name what denied: it shows that a function exists, and how it is set."""
    if decision.allowed or resource.kind is not ResourceKind.FUNCTION:
        return True
    return call.service.may(call.request, Action.FUNCTION_READ, resource)


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


OPERATIONS = all_served(policies, performs)
