"""The shape of a request: which kinds of principal and resource, and which action.

Within one shape all that differs is in a few names, the principal's roles and three flags.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from casemate.model.principal import Action, PrincipalKind, ResourceKind
from casemate.policy.actions import RULES
from casemate.policy.identifiers import (
    ANONYMOUS_ID,
    NAME,
    NODE_ID,
    PRINCIPAL_IDS,
    RESOURCE_NAMES,
    entity_type,
)

OWN_PROJECT, OWN_NAME, OWN_ID = "principal project", "principal function", "principal id"
PROJECT, RESOURCE_NAME = "resource project", "resource name"

WITH_ROLES = (PrincipalKind.USER, PrincipalKind.TOKEN)
_TRIGGER_NAME = re.compile(PRINCIPAL_IDS[PrincipalKind.TRIGGER].pattern.rpartition("/")[2])


class Fixed(msgspec.Struct, frozen=True):
    """A text that is known."""

    text: str


class Free(msgspec.Struct, frozen=True):
    """A name of the request, which may be any that can exist."""

    name: str


Text = Fixed | Free


class Entity(msgspec.Struct, frozen=True):
    """An entity: its type, and its id in the parts that stand between slashes."""

    type: str
    parts: tuple[Text, ...]


class Shape(msgspec.Struct, frozen=True):
    """All requests of one kind of principal for one action on one kind of resource."""

    principal: PrincipalKind
    action: Action
    resource: ResourceKind

    @property
    def principal_entity(self) -> Entity:
        """Return who asks."""
        return Entity(entity_type(self.principal), _PARTS[self.principal])

    @property
    def resource_entity(self) -> Entity:
        """Return what is asked for."""
        if self.resource is ResourceKind.NODE:
            return Entity(entity_type(self.resource), (Fixed(NODE_ID),))
        if self.resource is ResourceKind.PROJECT:
            return Entity(entity_type(self.resource), (Free(PROJECT),))
        return Entity(entity_type(self.resource), (Free(PROJECT), Free(RESOURCE_NAME)))

    @property
    def names(self) -> dict[str, re.Pattern[str]]:
        """Return the names that are free, with what they may be."""
        found = dict(_PATTERNS[self.principal])
        if self.resource is not ResourceKind.NODE:
            found[PROJECT] = NAME
        if self.resource in RESOURCE_NAMES:
            found[RESOURCE_NAME] = RESOURCE_NAMES[self.resource]
        return found


_PARTS: dict[PrincipalKind, tuple[Text, ...]] = {
    PrincipalKind.USER: (Free(OWN_ID),),
    PrincipalKind.TOKEN: (Free(OWN_ID),),
    PrincipalKind.PLAYBOOK: (Free(OWN_ID),),
    PrincipalKind.FUNCTION: (Free(OWN_PROJECT), Free(OWN_NAME)),
    PrincipalKind.TRIGGER: (Free(OWN_PROJECT), Free(OWN_NAME), Free(OWN_ID)),
    PrincipalKind.ANONYMOUS: (Fixed(ANONYMOUS_ID),),
}
_PATTERNS: dict[PrincipalKind, dict[str, re.Pattern[str]]] = {
    **{kind: {OWN_ID: PRINCIPAL_IDS[kind]} for kind in (*WITH_ROLES, PrincipalKind.PLAYBOOK)},
    PrincipalKind.FUNCTION: {OWN_PROJECT: NAME, OWN_NAME: NAME},
    PrincipalKind.TRIGGER: {OWN_PROJECT: NAME, OWN_NAME: NAME, OWN_ID: _TRIGGER_NAME},
    PrincipalKind.ANONYMOUS: {},
}


def parts_of(type_: str, id_: str) -> tuple[Text, ...]:
    """Return the id of an entity that a policy names, in parts."""
    slashes = _SLASHES.get(type_, 0)
    return tuple(Fixed(part) for part in id_.split("/", slashes))


_SLASHES = {
    **{entity_type(kind): len(parts) - 1 for kind, parts in _PARTS.items()},
    **{entity_type(kind): 1 for kind in RESOURCE_NAMES},
}


def shapes() -> Iterator[Shape]:
    """Yield every shape that a request can have."""
    for action, rule in RULES.items():
        for resource in rule.resources:
            for principal in PrincipalKind:
                yield Shape(principal, action, resource)
