"""All rules, in the order of the reference."""

from __future__ import annotations

from casemate.audit.rule import Rule
from casemate.audit.rules import (
    account_wide,
    containers,
    data_flow,
    dependencies,
    entry,
    environment,
    front,
    functions,
    granted,
    history,
    identities,
    javascript_code,
    manifests,
    permissions,
    policies,
    privileges,
    python_code,
    secrets,
    services,
    storage,
    tokens,
)

RULES: tuple[Rule, ...] = (
    *functions.RULES,
    *entry.RULES,
    *front.RULES,
    *identities.RULES,
    *tokens.RULES,
    *storage.RULES,
    *services.RULES,
    *permissions.RULES,
    *account_wide.RULES,
    *privileges.RULES,
    *secrets.RULES,
    *history.RULES,
    *environment.RULES,
    *python_code.RULES,
    *javascript_code.RULES,
    *data_flow.RULES,
    *dependencies.RULES,
    *manifests.RULES,
    *policies.RULES,
    *granted.RULES,
    *containers.RULES,
)
