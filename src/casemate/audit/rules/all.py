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
    kubernetes_cluster,
    kubernetes_pods,
    manifests,
    permissions,
    policies,
    privileges,
    python_code,
    secrets,
    services,
    storage,
)

RULES: tuple[Rule, ...] = (
    *functions.RULES,
    *entry.RULES,
    *front.RULES,
    *identities.RULES,
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
    *kubernetes_pods.RULES,
    *kubernetes_cluster.RULES,
)
