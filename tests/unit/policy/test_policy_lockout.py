"""No custom policy takes the last right: to mend the policies."""

from __future__ import annotations

import pytest
from policy_samples import policy_file, token, user

from casemate.model.principal import NODE, Action, RoleBinding
from casemate.policy import CedarPolicy, PolicyError

WRITE = 'action == Casemate::Action::"policy:write"'
OVERFLOW = "9223372036854775807 + (if context.granted then 1 else 2) == 0"


def prepare(text: str, maker=None) -> None:
    CedarPolicy().prepare([policy_file(text)], maker=maker)


@pytest.mark.parametrize(
    "text",
    [
        "forbid (principal, action, resource);",
        f"forbid (principal, {WRITE}, resource);",
        f"forbid (principal is Casemate::Token, {WRITE}, resource);",
        'forbid (principal is Casemate::User, action, resource == Casemate::Node::"node");',
        f'forbid (principal == Casemate::User::"ada", {WRITE}, resource);',
        f'forbid (principal, {WRITE}, resource) when {{ principal == Casemate::Token::"ab12" }};',
        f'forbid (principal, {WRITE}, resource) unless {{ principal == Casemate::User::"ada" }};',
        'forbid (principal in Casemate::Role::"owner", action, resource);',
        'forbid (principal in Casemate::Role::"contractor", action, resource);',
        "forbid (principal, action, resource)"
        ' when { principal in Casemate::Role::"a" && principal in Casemate::Role::"b" };',
        f"forbid (principal, action, resource) when {{ {OVERFLOW} }};",
        f"permit (principal is Casemate::User, action, resource) when {{ {OVERFLOW} }};",
    ],
)
def test_what_would_lock_owners_out_is_refused(text: str) -> None:
    with pytest.raises(PolicyError, match=r"custom\.cedar:1.*an owner .* would lose policy:") as e:
        prepare(text)
    assert "owner" in str(e.value.next_step)


@pytest.mark.parametrize(
    "text",
    [
        'forbid (principal, action, resource in Casemate::Project::"prod");',
        'forbid (principal, action == Casemate::Action::"function:deploy", resource);',
        'forbid (principal, action in Casemate::Action::"data", resource);',
        'forbid (principal, action, resource) unless { principal in Casemate::Role::"owner" };',
        'forbid (principal in Casemate::Role::"contractor", action, resource)'
        ' unless { principal in Casemate::Role::"owner" };',
    ],
)
def test_what_leaves_owners_that_right_is_accepted(text: str) -> None:
    prepare(text, maker=user("owner"))


def test_whoever_makes_the_change_can_take_it_back() -> None:
    text = f"""
        permit (principal in Casemate::Role::"admin", {WRITE}, resource);
        forbid (principal == Casemate::User::"eve", {WRITE}, resource)
        unless {{ principal in Casemate::Role::"owner" }};
    """
    prepare(text, maker=user("admin", name="bob"))
    with pytest.raises(PolicyError, match="user:eve, who makes this change"):
        prepare(text, maker=user("admin", name="eve"))


def test_a_refused_change_changes_nothing() -> None:
    policy = CedarPolicy()
    with pytest.raises(PolicyError):
        policy.replace([policy_file("forbid (principal, action, resource);")])
    assert policy.revision == 1
    assert policy.files == ()
    assert policy.allows(token(RoleBinding(role="owner")), Action.POLICY_WRITE, NODE)
