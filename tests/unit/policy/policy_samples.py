"""Principals, resources and policy files for the tests of policies."""

from __future__ import annotations

from casemate.model.account import PolicyFile
from casemate.model.principal import Principal, PrincipalKind, Resource, ResourceKind, RoleBinding
from casemate.policy.text import parse_binding


def user(*roles: str, name: str = "ada") -> Principal:
    """A user with roles written `ROLE[@PROJECT[/FUNCTION]]`."""
    return Principal(
        kind=PrincipalKind.USER, id=name, bindings=tuple(parse_binding(r) for r in roles)
    )


def token(*bindings: RoleBinding) -> Principal:
    return Principal(kind=PrincipalKind.TOKEN, id="0123456789abcdef", bindings=bindings)


def acting(name: str = "shop/resize") -> Principal:
    """A function as principal."""
    return Principal(kind=PrincipalKind.FUNCTION, id=name)


PLAYBOOK = Principal(kind=PrincipalKind.PLAYBOOK, id="escape-tried")
TRIGGER = Principal(kind=PrincipalKind.TRIGGER, id="shop/cart/queue-1")
TRIGGERS = (
    TRIGGER,
    Principal(kind=PrincipalKind.TRIGGER, id="shop/cart2/queue-1"),
    Principal(kind=PrincipalKind.TRIGGER, id="other/cart/queue-1"),
)


def function(name: str = "shop/cart", *, internal: bool = False, public: bool = False) -> Resource:
    project, _, own = name.partition("/")
    return Resource(
        kind=ResourceKind.FUNCTION, project=project, name=own, internal=internal, public=public
    )


def thing(kind: ResourceKind, name: str = "shop/uploads") -> Resource:
    project, _, own = name.partition("/")
    return Resource(kind=kind, project=project, name=own)


def project(name: str = "shop") -> Resource:
    return Resource(kind=ResourceKind.PROJECT, project=name)


def policy_file(text: str, name: str = "custom") -> PolicyFile:
    return PolicyFile(name=name, text=text, changed_at=1.0, changed_by="user:ada")


DEPLOYER = """\
// Who may put versions live, and nothing else.
@id("deployer")
permit (
  principal in Casemate::Role::"deployer",
  action in [Casemate::Action::"function:deploy", Casemate::Action::"function:alias"],
  resource
);

forbid (
  principal in Casemate::Role::"deployer",
  action == Casemate::Action::"function:deploy",
  resource is Casemate::Function
)
when { resource.public };
"""
