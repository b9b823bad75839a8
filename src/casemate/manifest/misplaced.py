"""Says where an unknown key of a manifest belongs: one table further down, or by another name."""

from __future__ import annotations

from casemate.manifest.locator import KeyPath
from casemate.manifest.problem import dotted, suggestion
from casemate.manifest.structure import NamedTables, Table

_MAX_NAME = 40
_ELSEWHERE = {
    "codeuri": "source",
    "cpus": "cpu",
    "cron": "schedule",
    "dependencies": "requirements",
    "entrypoint": "handler",
    "env": "environment",
    "environmentvariables": "environment",
    "ephemeralstorage": "tmp",
    "hosts": "egress",
    "iam": "grants",
    "memorymb": "memory",
    "memorysize": "memory",
    "network": "egress",
    "permissions": "grants",
    "policies": "grants",
    "provisionedconcurrency": "warm",
    "reservedconcurrency": "concurrency",
    "role": "grants",
    "routes": "http",
    "runtime": "python",
    "schedules": "schedule",
    "variables": "environment",
}
"""What other platforms call a key, in lower case and without separators."""


def expected_instead(name: str, table: Table, path: KeyPath) -> str:
    """Say, to follow "expected", which keys there are at `path`, or where this one belongs."""
    known = [field.name for field in table.fields]
    plain = name.lower().replace("_", "").replace("-", "") if len(name) <= _MAX_NAME else ""
    for word in (name, _ELSEWHERE.get(plain, name)):
        if word in known:
            return f'"{word}", which is what it is called here'
        for field in table.fields:
            if isinstance(field.kind, Table) and field.kind.field(word) is not None:
                return f'"{word}" in [{dotted((*path, field.name))}]'
            if isinstance(field.kind, NamedTables) and field.kind.table.field(word) is not None:
                return f'"{word}" in [{dotted((*path, field.name))}.NAME]'
    return f"one of {', '.join(known)}{suggestion(name, known)}"
