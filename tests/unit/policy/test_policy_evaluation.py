"""Which bindings are in force where, and what is denied before Cedar is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_samples import acting, function, policy_file, project, thing, token, user

from casemate.model.principal import (
    NODE,
    Action,
    Principal,
    PrincipalKind,
    Resource,
    ResourceKind,
    RoleBinding,
)
from casemate.policy import CedarPolicy, compile_policies
from casemate.policy.actions import RULES
from casemate.policy.errors import RequestNotDecidableError
from casemate.policy.evaluation import MAX_ROLES, check_request, covers, evaluate, roles_on


@pytest.mark.parametrize(
    ("place", "function_name", "covered"),
    [
        (None, None, {"node", "project:shop", "function:shop/cart", "bucket:shop/uploads"}),
        ("shop", None, {"project:shop", "function:shop/cart", "bucket:shop/uploads"}),
        ("shop", "cart", {"function:shop/cart"}),
        ("shop", "uploads", set()),
        ("shop", "", set()),
        ("", None, set()),
        ("", "", set()),
        (None, "cart", set()),
        ("other", None, set()),
    ],
)
def test_what_a_binding_covers(
    place: str | None, function_name: str | None, covered: set[str]
) -> None:
    binding = RoleBinding(role="owner", project=place, function=function_name)
    resources = (NODE, project(), function(), thing(ResourceKind.BUCKET))
    assert {r.text for r in resources if covers(binding, r)} == covered


def test_roles_are_those_in_force_once_and_sorted() -> None:
    several = user("b@shop", "a", "b", "c@other", "d@shop/cart")
    assert roles_on(several, function()) == ("a", "b", "d")
    assert roles_on(several, NODE) == ("a", "b")
    assert roles_on(Principal(kind=PrincipalKind.FUNCTION, id="shop/a"), NODE) == ()


def test_too_many_roles_are_a_denial() -> None:
    many = token(*(RoleBinding(role=f"r{number}") for number in range(MAX_ROLES)))
    assert len(roles_on(many, NODE)) == MAX_ROLES
    more = token(RoleBinding(role="owner"), *many.bindings)
    assert not CedarPolicy().allows(more, Action.NODE_READ, NODE)


@given(
    st.sampled_from(PrincipalKind),
    st.text(max_size=20),
    st.sampled_from(Action),
    st.sampled_from(ResourceKind),
    st.text(max_size=12),
    st.text(max_size=12),
)
def test_whatever_passes_the_check_is_plain_ascii_and_fits(
    kind: PrincipalKind,
    name: str,
    action: Action,
    on: ResourceKind,
    place: str,
    resource_name: str,
) -> None:
    principal = Principal(kind=kind, id=name)
    resource = Resource(kind=on, project=place, name=resource_name)
    try:
        check_request(principal, action, resource)
    except RequestNotDecidableError:
        return
    text = principal.text + resource.text
    assert text.isascii()
    assert text.isprintable()
    assert not set(text) & set("\"\\' \n")
    assert ".." not in resource.text
    assert on in RULES[action].resources


@pytest.mark.parametrize(
    ("name", "possible"),
    [
        ("api.example.com:443", True),
        ("[2001:db8::1]:5432", True),
        ("127.0.0.1:80", True),
        ("*.example.com:443", True),
        ("api.example.com", False),
        ("api..example.com:443", False),
        ("API.example.com:443", False),
        ("api.example.com:0443", False),
        ("user@example.com:443", False),
        ("example.com:443/path", False),
        ("ex\u0430mple.com:443", False),
    ],
)
def test_names_of_hosts(name: str, possible: bool) -> None:
    host = thing(ResourceKind.HOST, f"shop/{name}")
    allowed = CedarPolicy().allows(acting(), Action.EGRESS_CONNECT, host, granted=True)
    assert allowed is possible


def test_policies_see_attributes_and_places() -> None:
    text = """
        @id("p") permit (principal == Casemate::Function::"shop/resize",
          action in Casemate::Action::"read-data", resource in Casemate::Node::"node")
        when { principal.project == resource.project && principal.name == "resize"
          && principal in Casemate::Project::"shop" && resource.name == "uploads" };
    """
    if_one_of = 'when { resource has name && ["uploads"].contains(resource.name) };'
    compiled = compile_policies(
        [
            policy_file(text.replace("resource in", "resource is Casemate::Bucket in")),
            policy_file(
                f'@id("q") permit (principal in Casemate::Role::"x", action, resource) '
                f"when {{ resource is Casemate::Bucket }} {if_one_of}",
                "q",
            ),
        ]
    )
    bucket = thing(ResourceKind.BUCKET)
    decision = evaluate(compiled.policy_set, acting(), Action.BUCKET_READ, bucket, True)
    assert decision.reasons == ("casemate.function-granted", "p")
    decision = evaluate(compiled.policy_set, user("x@shop"), Action.BUCKET_READ, bucket, False)
    assert decision.reasons == ("q",)
    other = thing(ResourceKind.BUCKET, "shop/other")
    assert not evaluate(compiled.policy_set, user("x"), Action.BUCKET_READ, other, False).allowed
