"""Attempts to be taken for somebody else, or to have something taken for something else.

Each attempt stands beside the plain request that is allowed, which shows that it tests something.
"""

from __future__ import annotations

import json
import unicodedata

import pytest

from casemate.model.account import PolicyFile
from casemate.model.principal import (
    ANONYMOUS,
    NODE,
    Action,
    Principal,
    PrincipalKind,
    Resource,
    ResourceKind,
    RoleBinding,
)
from casemate.policy import CedarPolicy, PolicyError

CUSTOM = """
@id("only-ada")
permit (
  principal == Casemate::User::"ada",
  action == Casemate::Action::"bucket:read",
  resource == Casemate::Bucket::"shop/uploads"
);
"""
POLICY = CedarPolicy([PolicyFile(name="custom", text=CUSTOM, changed_at=0.0, changed_by="user:x")])
UPLOADS = Resource(kind=ResourceKind.BUCKET, project="shop", name="uploads")
ADA = Principal(kind=PrincipalKind.USER, id="ada")


def owner(project: str | None, *, role: str = "owner", function: str | None = None) -> Principal:
    binding = RoleBinding(role=role, project=project, function=function)
    return Principal(kind=PrincipalKind.USER, id="eve", bindings=(binding,))


def denied(principal: Principal, action: Action, resource: Resource, granted: bool = False) -> bool:
    """Tell whether both ways of asking deny, however often they are asked."""
    asked = [POLICY.allows(principal, action, resource, granted=granted) for _ in range(2)]
    decision = POLICY.decide(principal, action, resource, granted=granted)
    return not any(asked) and not decision.allowed


def spellings(name: str) -> list[str]:
    """Other spellings of a name that some layer might take for it."""
    return [
        name.upper(),
        name.capitalize(),
        name.replace("a", "\u0430"),  # Cyrillic
        name.replace("a", "\uff41"),  # full width
        name.replace("a", "a\u0301"),
        unicodedata.normalize("NFC", name.replace("a", "a\u0301")),
        name + "\u200b",
        "\ufeff" + name,
        name + " ",
        " " + name,
        name + "\n",
        name + "\x00",
        name + "\x00x",
        name + '"',
        f'{name}", action, resource) // ',
        f'x"::{name}',
        f'{name}"}},{{"uid":{{"type":"Casemate::User","id":"x',
        name + "\\",
        name + "\\u{0}",
        f"./{name}",
        f"{name}/.",
        f"x/../{name}",
        f"{name}/../{name}",
        f"%{ord(name[0]):02x}{name[1:]}",
        name + "\ud800",
        name + "a" * 200_000,
        "",
    ]


def test_what_is_meant_is_allowed() -> None:
    assert POLICY.allows(ADA, Action.BUCKET_READ, UPLOADS)
    assert POLICY.decide(ADA, Action.BUCKET_READ, UPLOADS).reasons == ("only-ada",)
    assert POLICY.allows(owner("shop"), Action.BUCKET_READ, UPLOADS)


@pytest.mark.parametrize("name", spellings("ada"), ids=lambda name: ascii(name[:30]))
def test_another_spelling_of_a_user_is_not_the_user(name: str) -> None:
    assert denied(Principal(kind=PrincipalKind.USER, id=name), Action.BUCKET_READ, UPLOADS)


@pytest.mark.parametrize("name", spellings("uploads"), ids=lambda name: ascii(name[:30]))
def test_another_spelling_of_a_bucket_is_not_the_bucket(name: str) -> None:
    other = Resource(kind=ResourceKind.BUCKET, project="shop", name=name)
    assert denied(ADA, Action.BUCKET_READ, other)
    assert denied(owner("shop"), Action.BUCKET_READ, other)


@pytest.mark.parametrize("name", spellings("shap"), ids=lambda name: ascii(name[:30]))
def test_another_spelling_of_a_project_is_not_the_project(name: str) -> None:
    shap = Resource(kind=ResourceKind.BUCKET, project="shap", name="uploads")
    assert not denied(owner("shap"), Action.BUCKET_READ, shap)
    assert denied(owner(name), Action.BUCKET_READ, shap)
    other = Resource(kind=ResourceKind.BUCKET, project=name, name="uploads")
    assert denied(owner("shap"), Action.BUCKET_READ, other)
    assert denied(owner(name), Action.BUCKET_READ, other)


@pytest.mark.parametrize("role", spellings("auditor"), ids=lambda name: ascii(name[:30]))
def test_a_role_that_looks_like_another_is_another(role: str) -> None:
    assert not denied(owner(None, role="auditor"), Action.POLICY_READ, NODE)
    assert denied(owner(None, role=role), Action.POLICY_READ, NODE)


@pytest.mark.parametrize("role", ["Owner", "OWNER", "owner ", "\u043ewner", 'owner"', "owner\n"])
def test_a_role_named_like_owner_is_nothing(role: str) -> None:
    assert not denied(owner(None), Action.POLICY_WRITE, NODE)
    assert denied(owner(None, role=role), Action.POLICY_WRITE, NODE)


@pytest.mark.parametrize(
    "binding",
    [
        RoleBinding(role="owner", project=""),
        RoleBinding(role="owner", project="node"),
        RoleBinding(role="owner", project="*"),
        RoleBinding(role="owner", project="shop"),
        RoleBinding(role="owner", function="cart"),
        RoleBinding(role="owner", project="", function=""),
    ],
    ids=str,
)
def test_no_narrow_binding_reaches_the_node(binding: RoleBinding) -> None:
    eve = Principal(kind=PrincipalKind.TOKEN, id="ab12", bindings=(binding,))
    for action in (Action.POLICY_WRITE, Action.ACCOUNT_WRITE, Action.NODE_BACKUP):
        assert denied(eve, action, NODE)


@pytest.mark.parametrize("project", ["shop2", "sho", "s", "shop-", "shops", "other"])
def test_a_project_is_not_another_with_the_same_beginning(project: str) -> None:
    other = Resource(kind=ResourceKind.BUCKET, project=project, name="uploads")
    assert denied(owner("shop"), Action.BUCKET_READ, other)
    function = Principal(kind=PrincipalKind.FUNCTION, id="shop/resize")
    assert denied(function, Action.BUCKET_READ, other, granted=True)


@pytest.mark.parametrize("name", ["shop", "shop/", "/resize", "shop/a/b", "shop//a", "shop/../x"])
def test_an_id_of_a_function_has_two_names(name: str) -> None:
    function = Principal(kind=PrincipalKind.FUNCTION, id=name)
    assert denied(function, Action.BUCKET_READ, UPLOADS, granted=True)


def test_a_function_is_not_the_user_of_its_name() -> None:
    for kind in PrincipalKind:
        if kind is not PrincipalKind.USER:
            assert denied(Principal(kind=kind, id="ada"), Action.BUCKET_READ, UPLOADS)


def test_names_do_not_move_across_the_slash() -> None:
    """`a/b` of the project `shop` is not `b` of `shop/a`."""
    eve = owner("shop", function="cart")
    for project, name in (("shop/cart", ""), ("", "shop/cart"), ("shop", "cart/x")):
        target = Resource(kind=ResourceKind.FUNCTION, project=project, name=name)
        assert denied(eve, Action.FUNCTION_INVOKE, target)
    bucket = Resource(kind=ResourceKind.BUCKET, project="shop", name="cart")
    assert denied(eve, Action.BUCKET_READ, bucket)


@pytest.mark.parametrize(
    "action",
    ["bucket:read", "Bucket:Read", "*", "", 'bucket:read"', "read-data", "data", "capability"],
)
def test_forged_actions(action: str) -> None:
    """Even the right text is not an action, nor is a group, nor after the real one was cached."""
    assert POLICY.allows(owner("shop"), Action.BUCKET_READ, UPLOADS)
    assert denied(owner("shop"), action, UPLOADS)  # type: ignore[arg-type]


def test_an_action_on_the_wrong_kind_of_resource() -> None:
    secret = Resource(kind=ResourceKind.SECRET, project="shop", name="uploads")
    assert denied(owner(None), Action.BUCKET_READ, secret)
    assert denied(owner(None), Action.POLICY_WRITE, Resource(kind=ResourceKind.PROJECT))
    function = Principal(kind=PrincipalKind.FUNCTION, id="shop/resize")
    assert denied(function, Action.BUCKET_READ, secret, granted=True)


def test_the_node_has_no_second_form() -> None:
    for node in (
        Resource(kind=ResourceKind.NODE, project="shop"),
        Resource(kind=ResourceKind.NODE, name="node"),
        Resource(kind=ResourceKind.NODE, public=True),
    ):
        assert denied(owner(None), Action.NODE_READ, node)
        assert denied(owner("shop"), Action.NODE_READ, node)


def test_public_is_only_a_property_of_functions_and_only_true() -> None:
    for kind, public in ((ResourceKind.BUCKET, True), (ResourceKind.FUNCTION, 1)):
        odd = Resource(kind=kind, project="shop", name="uploads", public=public)  # type: ignore[arg-type]
        action = Action.BUCKET_READ if kind is ResourceKind.BUCKET else Action.FUNCTION_INVOKE
        assert denied(ANONYMOUS, action, odd)


def test_nobody_is_anonymous_under_another_name() -> None:
    public = Resource(kind=ResourceKind.FUNCTION, project="shop", name="cart", public=True)
    assert POLICY.allows(ANONYMOUS, Action.FUNCTION_INVOKE, public)
    other = Principal(kind=PrincipalKind.ANONYMOUS, id="owner")
    assert denied(other, Action.FUNCTION_INVOKE, public)
    forged = Principal(
        kind=PrincipalKind.ANONYMOUS, id="public", bindings=(RoleBinding(role="owner"),)
    )
    assert denied(forged, Action.POLICY_WRITE, NODE)


@pytest.mark.parametrize(
    "text",
    [
        '@id("casemate.secret-read") forbid (principal is Casemate::User, action, resource);',
        '@id("CASEMATE.OWNER") permit (principal is Casemate::User, action, resource);',
        'permit (principal in Casemate::Role::"Owner", action, resource);',
        'permit (principal in Casemate::Role::"ow\\u{6e}er\\u{200b}", action, resource);',
        "permit (principal, action, resource);",
        'permit (principal == Casemate::User::"../ada", action, resource);',
        'permit (principal in Casemate::Role::"x", action, resource); \u202e// forbid',
    ],
    ids=range(7),
)
def test_hostile_policy_files(text: str) -> None:
    policy = CedarPolicy()
    with pytest.raises(PolicyError):
        policy.replace([PolicyFile(name="x", text=text, changed_at=0.0, changed_by="user:eve")])
    assert policy.revision == 1


def test_what_is_said_of_a_denial_is_no_payload() -> None:
    name = 'secret-value-1234"\n'
    decision = POLICY.decide(
        ADA, Action.BUCKET_READ, Resource(kind=ResourceKind.BUCKET, project="shop", name=name)
    )
    assert "secret-value" not in json.dumps(decision.errors)
