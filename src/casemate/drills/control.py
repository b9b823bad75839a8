"""What an attacker of a cloud asks its control plane for, asked of a node without a token.

Counterparts of public attack techniques (ATT&CK for IaaS and containers, Stratus Red Team), by
what each is for: to persist, to escape notice, to find out, to take along, to destroy.
"""

from __future__ import annotations

from typing import Any

Request = tuple[str, str, str, dict[str, Any], frozenset[int]]
_API = "/api/v1/"
_401 = frozenset({401})


def _ask(title: str, technique: str, path: str, method: str = "POST", body: str = "{}") -> Request:
    play: dict[str, Any] = {"path": _API + path, "method": method}
    if method not in ("GET", "DELETE"):
        play["body"] = body
    return f"{title} without a token", technique, "authentication", play, _401


CONTROL: dict[str, Request] = {
    "deploy": _ask("Deploy code over a function's", "T1525", "deployments"),
    "point-alias": _ask(
        "Point an alias at an older version", "T1578.004", "functions/{p}/careless/rollback"
    ),
    "put-policy": _ask("Put a policy that permits all", "T1098.003", "policies/drill", "PUT"),
    "remove-policy": _ask("Remove a policy that forbids", "T1562.007", "policies/drill", "DELETE"),
    "trust-provider": _ask("Trust another identity provider", "T1484.002", "oidc", "PUT"),
    "trust-pipeline": _ask("Trust another pipeline", "T1098.001", "workloads"),
    "reset-user": _ask("Reset the login of a person", "T1098", "users/owner/reset"),
    "trust-builder": _ask("Trust another builder's key", "T1553", "builder-keys"),
    "set-secret": _ask("Set a secret", "T1098.001", "secrets/{p}/hook", "PUT"),
    "rotate-secret": _ask("Lock others out of a secret", "T1531", "secrets/{p}/hook/rotate"),
    "silence-alerts": _ask("Silence alerts", "T1562.008", "alerts/silences"),
    "pause-playbooks": _ask("Pause playbooks", "T1562.001", "playbook-pauses/{p}"),
    "remove-playbook": _ask("Remove a playbook", "T1562.001", "playbooks/escape-tried", "DELETE"),
    "disable-decoys": _ask("Turn decoys off", "T1562.001", "decoys/{p}/token/disable"),
    "lift-restriction": _ask("Lift what is held back", "T1562.007", "restrictions/res_1/lift"),
    "remove-budget": _ask("Remove a budget", "T1496", "budgets/{p}/month", "DELETE"),
    "release-evidence": _ask("Delete evidence", "T1070", "evidence/evi_1/release"),
    "purge-queue": _ask("Delete what waits in a queue", "T1485", "queues/{p}/jobs/purge"),
    "take-backup": _ask("Take a backup along", "T1537", "backup", "GET"),
    "read-journal": _ask("Read what happened", "T1654", "journal", "GET"),
    "read-decoys": _ask("Find out where decoys are", "T1518.001", "decoys", "GET"),
    "read-access": _ask("Find out who may what", "T1069.003", "access", "GET"),
    "read-policies": _ask("Find out what is forbidden", "T1201", "policies", "GET"),
    "read-recordings": _ask("Read what callers sent", "T1530", "recordings", "GET"),
}
CLOUDS = {
    "list-secrets": "Enumerate secrets",
    "add-user": "Create a user for persistence",
    "add-token": "Create an access key for persistence",
    "list-users": "Enumerate users and roles",
    "list-functions": "Enumerate functions",
    "remove-function": "Destroy functions",
    "read-logs": "Read logs to find secrets",
    "deploy": "Overwrite the code of a function",
    "point-alias": "Revert a function to a version with vulnerabilities",
    "put-policy": "Attach a policy that permits all to an identity",
    "remove-policy": "Remove a guardrail policy of an organization",
    "trust-provider": "Create a federated identity provider",
    "trust-pipeline": "Let a pipeline elsewhere assume a role",
    "reset-user": "Reset the console login of a user",
    "trust-builder": "Disable or replace image signing",
    "set-secret": "Plant a credential of one's own",
    "rotate-secret": "Lock others out by changing credentials",
    "silence-alerts": "Suppress findings of the detection service",
    "pause-playbooks": "Stop automatic response",
    "remove-playbook": "Delete a rule of automatic response",
    "disable-decoys": "Turn off a security service",
    "lift-restriction": "Remove a network rule that contains",
    "remove-budget": "Remove a budget before mining",
    "release-evidence": "Delete audit logs by their lifecycle",
    "purge-queue": "Delete messages of a queue",
    "take-backup": "Share or copy a snapshot out",
    "read-journal": "Read the audit trail to see what is noticed",
    "read-decoys": "Enumerate security tools",
    "read-access": "Enumerate permissions of identities",
    "read-policies": "Enumerate policies",
    "read-recordings": "Exfiltrate data of requests",
}
"""By the ids of requests: what the same is called where clouds are attacked."""
