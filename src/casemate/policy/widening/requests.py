"""The request that an answer stands for."""

from __future__ import annotations

from collections.abc import Callable

from casemate.model.principal import (
    ANONYMOUS,
    NODE,
    Principal,
    PrincipalKind,
    Resource,
    ResourceKind,
    RoleBinding,
)
from casemate.policy.widening.formula import Flag, Role
from casemate.policy.widening.shapes import PROJECT, RESOURCE_NAME, Fixed, Shape
from casemate.policy.widening.solving import Assignment, Values


def request_of(shape: Shape, found: Assignment, values: Values) -> tuple[Principal, Resource]:
    """Return who asks and for what; what an answer leaves open is as little as can be."""

    def text(name: str) -> str:
        return str(found.get(name) or values.of(name)[0])

    return _principal(shape, found, text), _resource(shape, found, text)


def _principal(shape: Shape, found: Assignment, text: Callable[[str], str]) -> Principal:
    if shape.principal is PrincipalKind.ANONYMOUS:
        return ANONYMOUS
    parts = shape.principal_entity.parts
    roles = sorted(a.role for a, held in found.items() if isinstance(a, Role) and held is True)
    return Principal(
        kind=shape.principal,
        id="/".join(part.text if isinstance(part, Fixed) else text(part.name) for part in parts),
        bindings=tuple(RoleBinding(role=role) for role in roles),
    )


def _resource(shape: Shape, found: Assignment, text: Callable[[str], str]) -> Resource:
    if shape.resource is ResourceKind.NODE:
        return NODE
    if shape.resource is ResourceKind.PROJECT:
        return Resource(kind=shape.resource, project=text(PROJECT))
    function = shape.resource is ResourceKind.FUNCTION
    return Resource(
        kind=shape.resource,
        project=text(PROJECT),
        name=text(RESOURCE_NAME),
        internal=function and found.get(Flag("internal")) is True,
        public=function and found.get(Flag("public")) is True,
    )
