"""All rules, in the order of the reference."""

from __future__ import annotations

from casemate.audit.rule import Rule
from casemate.audit.rules import (
    containers,
    dependencies,
    entry,
    environment,
    functions,
    identities,
    javascript_code,
    manifests,
    permissions,
    python_code,
    secrets,
    storage,
)

RULES: tuple[Rule, ...] = (
    *functions.RULES,
    *entry.RULES,
    *identities.RULES,
    *storage.RULES,
    *permissions.RULES,
    *secrets.RULES,
    *environment.RULES,
    *python_code.RULES,
    *javascript_code.RULES,
    *dependencies.RULES,
    *manifests.RULES,
    *containers.RULES,
)
