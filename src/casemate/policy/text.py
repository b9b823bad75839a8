"""Principals, actions, resources and role bindings as people write them."""

from __future__ import annotations

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
from casemate.policy.errors import PolicyTextError
from casemate.policy.identifiers import NAME, PRINCIPAL_IDS, RESOURCE_NAMES

_PRINCIPALS = (
    "`user:NAME`, `token:ID`, `function:PROJECT/NAME`, `trigger:PROJECT/FUNCTION/NAME`, "
    "`anonymous:public`"
)
_RESOURCES = "`node`, `project:NAME`, or `KIND:PROJECT/NAME` such as `bucket:shop/uploads`"


def _error(what: str, text: str, expected: str) -> PolicyTextError:
    return PolicyTextError(
        f"The {what} is {text[:100]!r}, expected {expected}.",
        next_step="See docs/reference/policies.md.",
    )


def parse_principal(text: str, bindings: tuple[RoleBinding, ...] = ()) -> Principal:
    """Return the principal written as `Principal.text`. PolicyTextError if it is none."""
    kind_text, _, name = text.partition(":")
    try:
        kind = PrincipalKind(kind_text)
    except ValueError:
        raise _error("principal", text, _PRINCIPALS) from None
    if PRINCIPAL_IDS[kind].fullmatch(name) is None:
        raise _error("principal", text, _PRINCIPALS)
    if kind is PrincipalKind.ANONYMOUS:
        return ANONYMOUS
    return Principal(kind=kind, id=name, bindings=bindings)


def parse_action(text: str) -> Action:
    """Return the action of that name. PolicyTextError if there is none."""
    try:
        return Action(text)
    except ValueError:
        raise _error("action", text, "one of " + ", ".join(Action)) from None


def parse_resource(text: str) -> Resource:
    """Return the resource written as `Resource.text`. PolicyTextError if it is none."""
    if text == NODE.text:
        return NODE
    kind_text, _, rest = text.partition(":")
    try:
        kind = ResourceKind(kind_text)
    except ValueError:
        raise _error("resource", text, _RESOURCES) from None
    project, slash, name = rest.partition("/")
    if kind is ResourceKind.NODE or NAME.fullmatch(project) is None:
        raise _error("resource", text, _RESOURCES)
    if kind is ResourceKind.PROJECT:
        if slash:
            raise _error("resource", text, "`project:NAME`")
        return Resource(kind=kind, project=project)
    if RESOURCE_NAMES[kind].fullmatch(name) is None:
        expected = f"`{kind.value}:PROJECT/NAME`"
        if kind is ResourceKind.HOST:
            expected = "`host:PROJECT/HOST:PORT`"
        raise _error("resource", text, expected)
    return Resource(kind=kind, project=project, name=name)


def parse_binding(text: str) -> RoleBinding:
    """Return the binding written `ROLE[@PROJECT[/FUNCTION]]`. PolicyTextError if it is none."""
    role, at, place = text.partition("@")
    project, slash, function = place.partition("/")
    parts = [role, *([project] if at else []), *([function] if slash else [])]
    if any(NAME.fullmatch(part) is None for part in parts):
        raise _error("role binding", text, "`ROLE[@PROJECT[/FUNCTION]]`")
    return RoleBinding(
        role=role, project=project if at else None, function=function if slash else None
    )
