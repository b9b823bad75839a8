"""What ids of entities look like. Whatever looks otherwise cannot exist and is denied.

All ids are ASCII: there is no second spelling of one, be it by case, by look-alike letters, by
Unicode normal forms or by `..` in a path.
"""

from __future__ import annotations

import re

from casemate.model.function import NAME_PATTERN
from casemate.model.grant import RESOURCE_PATTERN
from casemate.model.principal import PrincipalKind, ResourceKind

NAMESPACE = "Casemate"
ROLE = f"{NAMESPACE}::Role"
ACTION = f"{NAMESPACE}::Action"
NODE_ID = "node"
ANONYMOUS_ID = "public"


def entity_type(kind: PrincipalKind | ResourceKind) -> str:
    """Return the Cedar type of a kind: `Casemate::Bucket`."""
    return f"{NAMESPACE}::{kind.value.capitalize()}"


def _inner(pattern: str) -> str:
    return pattern.removeprefix("^").removesuffix("$")


_PROJECT = _inner(NAME_PATTERN)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = rf"(?:(?:\*\.)?{_LABEL}(?:\.{_LABEL}){{0,31}}|\[[0-9a-f:.]{{2,45}}\]):[1-9][0-9]{{0,4}}"
_ISSUED = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
_TRIGGER = rf"{_PROJECT}/{_PROJECT}/[A-Za-z0-9][A-Za-z0-9._-]{{0,63}}"

NAME = re.compile(_PROJECT)
"""Projects, functions, roles and users."""

RESOURCE_NAMES: dict[ResourceKind, re.Pattern[str]] = {
    ResourceKind.FUNCTION: NAME,
    **dict.fromkeys(
        (
            ResourceKind.BUCKET,
            ResourceKind.TABLE,
            ResourceKind.QUEUE,
            ResourceKind.TOPIC,
            ResourceKind.SECRET,
        ),
        re.compile(_inner(RESOURCE_PATTERN)),
    ),
    ResourceKind.HOST: re.compile(_HOST),
}
"""Names of what belongs to a project. Use `fullmatch`."""

PRINCIPAL_IDS: dict[PrincipalKind, re.Pattern[str]] = {
    PrincipalKind.USER: NAME,
    PrincipalKind.TOKEN: re.compile(_ISSUED),
    PrincipalKind.FUNCTION: re.compile(f"{_PROJECT}/{_PROJECT}"),
    PrincipalKind.TRIGGER: re.compile(_TRIGGER),
    PrincipalKind.PLAYBOOK: NAME,
    PrincipalKind.ANONYMOUS: re.compile(ANONYMOUS_ID),
}
"""Ids of principals. Use `fullmatch`."""


def _entity_ids() -> dict[str, re.Pattern[str]]:
    patterns = {
        entity_type(kind): re.compile(f"{_PROJECT}/{pattern.pattern}")
        for kind, pattern in RESOURCE_NAMES.items()
    }
    patterns |= {entity_type(kind): pattern for kind, pattern in PRINCIPAL_IDS.items()}
    patterns[entity_type(ResourceKind.NODE)] = re.compile(NODE_ID)
    patterns[entity_type(ResourceKind.PROJECT)] = NAME
    patterns[ROLE] = NAME
    return patterns


ENTITY_IDS = _entity_ids()
"""Ids of entities as policies name them, by Cedar type. Use `fullmatch`."""
