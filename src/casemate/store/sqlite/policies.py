"""Policy files and the node's own small values, in SQL."""

from __future__ import annotations

from casemate.model.account import PolicyFile
from casemate.model.errors import InvalidInputError, NotFoundError
from casemate.sqlite import engine

MAX_POLICY = 1024 * 1024
"""Characters of a policy file at most."""
MAX_VALUE = 1024 * 1024
"""Bytes of a node value at most."""


def put_policy(connection: engine.Connection, policy: PolicyFile) -> None:
    """Insert or replace a policy file. Raises InvalidInputError for one that is too long."""
    if not policy.name or len(policy.name) > 256 or len(policy.text) > MAX_POLICY:
        raise InvalidInputError(
            f"The policy file {policy.name[:80]!r} has {len(policy.text)} characters; expected "
            f"at most {MAX_POLICY}, under a name of 1 to 256."
        )
    connection.execute(
        "INSERT OR REPLACE INTO policy_file VALUES (?, ?, ?, ?)",
        (policy.name, policy.text, policy.changed_at, policy.changed_by),
    )


def remove_policy(connection: engine.Connection, name: str) -> None:
    """Delete a policy file. Raises NotFoundError."""
    if not connection.execute("DELETE FROM policy_file WHERE name = ?", (name,)).rowcount:
        raise NotFoundError(
            f"There is no policy file {name[:80]!r}.", next_step="List the policy files."
        )


def policies(connection: engine.Connection) -> tuple[PolicyFile, ...]:
    """Return every policy file, by name."""
    rows = connection.execute(
        "SELECT name, text, changed_at, changed_by FROM policy_file ORDER BY name"
    )
    return tuple(
        PolicyFile(name=name, text=text, changed_at=at, changed_by=by)
        for name, text, at, by in rows
    )


def set_node_value(connection: engine.Connection, name: str, value: bytes) -> None:
    """Insert or replace a value. Raises InvalidInputError for one that is too long."""
    if not name or len(name) > 256 or len(value) > MAX_VALUE:
        raise InvalidInputError(
            f"The node value {name[:80]!r} has {len(value)} bytes; expected at most {MAX_VALUE}, "
            "under a name of 1 to 256 characters."
        )
    connection.execute("INSERT OR REPLACE INTO node_value VALUES (?, ?)", (name, bytes(value)))


def node_value(connection: engine.Connection, name: str) -> bytes | None:
    """Return a value, None if there is none of that name."""
    row = connection.execute("SELECT value FROM node_value WHERE name = ?", (name,)).fetchone()
    return None if row is None else bytes(row[0])
