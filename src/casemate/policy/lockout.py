"""Refuses policies under which owners could not mend policies any more.

A custom `forbid` wins over everything, so one mistake in it could be for good. What Cedar decides
about the node depends on the kind of principal, on ids that policies name and on roles alone;
these are what is tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from casemate.model.principal import (
    NODE,
    OWNER,
    Action,
    Decision,
    Principal,
    PrincipalKind,
    RoleBinding,
)
from casemate.policy.compiled import CompiledPolicies
from casemate.policy.errors import PolicyError
from casemate.policy.evaluation import MAX_ROLES, evaluate
from casemate.policy.identifiers import PRINCIPAL_IDS, ROLE, entity_type

KEPT = (Action.POLICY_READ, Action.POLICY_WRITE)
"""What nothing takes from owners of the node."""

_KINDS = (PrincipalKind.USER, PrincipalKind.TOKEN)
_OWNER = RoleBinding(role=OWNER)


def require_owners_keep_control(policies: CompiledPolicies) -> None:
    """Raise PolicyError if some owner of the node could not read and write policies."""
    if not policies.policies:
        return
    for principal in _owners(policies):
        for action in KEPT:
            decision = evaluate(policies.policy_set, principal, action, NODE, False)
            if not decision.allowed:
                raise _error(policies, decision, f"an owner ({_described(principal)})", action)


def require_keeps_control(policies: CompiledPolicies, maker: Principal) -> None:
    """Raise PolicyError if whoever makes a change could not take it back."""
    decision = evaluate(policies.policy_set, maker, Action.POLICY_WRITE, NODE, False)
    if not decision.allowed:
        raise _error(
            policies, decision, f"{maker.text}, who makes this change,", Action.POLICY_WRITE
        )


def _owners(policies: CompiledPolicies) -> Iterator[Principal]:
    """Give each kind of owner that the policies can tell from another."""
    named = {entity for policy in policies.policies for entity in policy.entities}
    roles = sorted(name for kind, name in named if kind == ROLE and name != OWNER)
    every = tuple(RoleBinding(role=role) for role in roles[: MAX_ROLES - 1])
    for kind in _KINDS:
        ids = {name for type_, name in named if type_ == entity_type(kind)}
        for name in sorted(i for i in ids if PRINCIPAL_IDS[kind].fullmatch(i)):
            yield Principal(kind=kind, id=name, bindings=(_OWNER,))
            yield Principal(kind=kind, id=name, bindings=(_OWNER, *every))
        other = _id_apart_from(ids)
        yield Principal(kind=kind, id=other, bindings=(_OWNER,))
        yield Principal(kind=kind, id=other, bindings=(_OWNER, *every))
        for role in roles:
            yield Principal(kind=kind, id=other, bindings=(_OWNER, RoleBinding(role=role)))


def _id_apart_from(ids: set[str]) -> str:
    number = 0
    while (name := f"owner-{number}") in ids:
        number += 1
    return name


def _described(principal: Principal) -> str:
    others = [binding.role for binding in principal.bindings if binding.role != OWNER]
    roles = f" who is {', '.join(others[:5])} as well" if others else ""
    return f"such as {principal.text}{roles}"


def _error(policies: CompiledPolicies, decision: Decision, who: str, action: Action) -> PolicyError:
    by_id = {policy.id: policy for policy in policies.policies}
    blamed = [*re.findall(r"`([^`]+)`", " ".join(decision.errors)), *decision.reasons]
    guilty = next((by_id[policy] for policy in blamed if policy in by_id), None)
    cause = f" ({decision.errors[0][:200]})" if decision.errors else ""
    return PolicyError(
        f"{who} would lose {action.value} on the node{cause}, and nobody could fix that.",
        file=guilty.file if guilty else "",
        line=guilty.line if guilty else None,
        next_step='Add `unless { principal in Casemate::Role::"owner" }`, or name the actions '
        f"without {action.value}.",
    )
