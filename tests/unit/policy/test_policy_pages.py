"""What pages say of who has a right is what the built-in roles have: all of them, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from casemate.model.principal import (
    BUILT_IN_ROLES,
    NODE,
    Action,
    Principal,
    PrincipalKind,
    Resource,
    ResourceKind,
    RoleBinding,
)
from casemate.policy import CedarPolicy

ROOT = Path(__file__).parents[3]
PAGES = (
    ROOT / "README.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs/howto").glob("*.md")),
    *sorted((ROOT / "docs/explanation").glob("*.md")),
)
RESOURCES = (
    NODE,
    Resource(kind=ResourceKind.PROJECT, project="p"),
    *(
        Resource(kind=kind, project="p", name="n")
        for kind in ResourceKind
        if kind not in (ResourceKind.NODE, ResourceKind.PROJECT)
    ),
)
_NAMES = "|".join(BUILT_IN_ROLES)
_SAID = re.compile(
    r"((?:`[a-z-]+:[a-z-]+`(?:,| and)? )*`[a-z-]+:[a-z-]+`), which (?:the roles? )?"
    rf"((?:`?(?:{_NAMES})s?`?(?:, | and )?)+) ha(?:ve|s)\b"
)


def said() -> list[tuple[str, str, frozenset[str]]]:
    found = []
    for page in PAGES:
        for match in _SAID.finditer(" ".join(page.read_text().split())):
            roles = frozenset(re.findall(rf"{_NAMES}", match[2]))
            found += [(page.name, action, roles) for action in re.findall(r"`(.+?)`", match[1])]
    return found


def _may(role: str, action: Action) -> bool:
    principal = Principal(kind=PrincipalKind.USER, id="x", bindings=(RoleBinding(role=role),))
    return any(CedarPolicy().allows(principal, action, resource) for resource in RESOURCES)


def test_sentences_are_found() -> None:
    assert len(said()) >= 10


@pytest.mark.parametrize(("page", "action", "roles"), said())
def test_all_who_have_a_right_are_named(page: str, action: str, roles: frozenset[str]) -> None:
    has = {role for role in BUILT_IN_ROLES if _may(role, Action(action))}
    assert roles == has, page
