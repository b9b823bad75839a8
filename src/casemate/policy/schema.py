"""The schema in Cedar that policies are validated against, as published in the reference."""

from __future__ import annotations

from functools import cache

from cedarpy import Schema

from casemate.model.principal import PrincipalKind, ResourceKind
from casemate.policy.actions import GROUPS, RULES, Rule
from casemate.policy.identifiers import NAMESPACE

_PEOPLE = (PrincipalKind.USER, PrincipalKind.TOKEN)
_WITHOUT_ATTRIBUTES = (PrincipalKind.ANONYMOUS,)
_TRIGGERS = (PrincipalKind.TRIGGER,)
_PLAYBOOKS = (PrincipalKind.PLAYBOOK,)
_NAMED = (
    ResourceKind.BUCKET,
    ResourceKind.TABLE,
    ResourceKind.QUEUE,
    ResourceKind.TOPIC,
    ResourceKind.SECRET,
    ResourceKind.HOST,
)


def _types(kinds: tuple[PrincipalKind, ...] | tuple[ResourceKind, ...]) -> str:
    return ", ".join(kind.value.capitalize() for kind in kinds)


def _entities() -> list[str]:
    return [
        "  // What a principal may do comes from the roles it has where the resource is.",
        "  entity Role;",
        f"  entity {_types(_PEOPLE)} in [Role];",
        f"  entity {_types(_WITHOUT_ATTRIBUTES)};",
        "  // The one function that a trigger invokes.",
        f"  entity {_types(_TRIGGERS)} = {{ project: String, function: String }};",
        "  // What a playbook may do is what its file says, among what contains.",
        f"  entity {_types(_PLAYBOOKS)};",
        "",
        "  entity Node;",
        "  entity Project in [Node] = { project: String, name: String };",
        "  // As a principal `internal` and `public` are false: they say who may call it.",
        "  entity Function in [Project] = {",
        "    project: String, name: String, internal: Bool, public: Bool",
        "  };",
        f"  entity {_types(_NAMED)} in [Project] = {{ project: String, name: String }};",
    ]


def _groups() -> list[str]:
    lines = []
    for name, meaning in GROUPS.items():
        lines += [f"  // {meaning}", f'  action "{name}";']
    return lines


def _action(name: str, rule: Rule) -> list[str]:
    groups = ", ".join(f'"{group}"' for group in rule.groups)
    head = f'  action "{name}"' + (f" in [{groups}]" if groups else "")
    return [
        f"{head} appliesTo {{",
        f"    principal: [{_types(rule.principals)}],",
        f"    resource: [{_types(rule.resources)}],",
        "    context: Asked",
        "  };",
    ]


def _render() -> str:
    lines = [
        f"namespace {NAMESPACE} {{",
        "  // `granted`: the manifest of the asking function grants it, or",
        "  // declares the trigger that asks, or the playbook that asks says so. False for people.",
        "  type Asked = { granted: Bool };",
        "",
        *_entities(),
        "",
        *_groups(),
        "",
    ]
    for action, rule in RULES.items():
        lines += _action(action.value, rule)
    return "\n".join([*lines, "}", ""])


SCHEMA = _render()
"""The schema as Cedar text."""


@cache
def parsed_schema() -> Schema:
    """Return the schema, parsed once."""
    return Schema.from_str(SCHEMA)
