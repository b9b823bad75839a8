"""What performs the operations of the port: functions over a connection, whose ever it is."""

from __future__ import annotations

from casemate.operations.performing import Performed
from casemate.store.sqlite import (
    accounts,
    aliases,
    attempts,
    attestations,
    budgets,
    changing,
    deployments,
    grants,
    nodes,
    policies,
    trials,
    used_once,
)

PERFORMED = Performed(
    deployments.performs,
    aliases.performs,
    trials.performs,
    accounts.performs,
    attestations.performs,
    policies.performs,
    grants.performs,
    nodes.performs,
    attempts.performs,
    used_once.performs,
    changing.performs,
    budgets.performs,
)
"""What reads is done on a reader's connection, all else on the writer's, in a transaction."""
