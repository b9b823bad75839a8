"""Proofs that what decides rights in a shared control database was written by nodes of the cluster.

Each row of accounts, roles, tokens, policies, rules, versions, aliases and the node's values has a
code by a key of the vault (HMAC-SHA-256). The codes are not in the database: each node has them in
memory, and the database has one code over all of them, with a generation. So a row that was
changed, added, exchanged, deleted or put back is not believed, and neither is a former whole.
What the rest of the store holds (counts, evidence, approvals as a record) is not proved.
"""

from casemate.store.postgresql.proofs.proofs import (
    FORESEEN,
    MissedChangesError,
    MissingProofKeyError,
    Proofs,
)
from casemate.store.postgresql.proofs.seen import SeenFile

__all__ = ["FORESEEN", "MissedChangesError", "MissingProofKeyError", "Proofs", "SeenFile"]
"""What the package offers."""
