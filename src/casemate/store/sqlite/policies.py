"""Policy files and the node's own small values, in SQL."""

from __future__ import annotations

from hashlib import sha256

from casemate.model.account import PolicyFile
from casemate.model.errors import InvalidInputError, NotFoundError
from casemate.operations.node import KeepNodeValue, ReadNodeValue, ReadNodeValues
from casemate.operations.performing import DirectPerformers
from casemate.operations.policies import KeepPolicy, ReadPolicies, RemovePolicy
from casemate.sqlite import engine
from casemate.store.errors import StoreMovedError

MAX_POLICY = 1024 * 1024
"""Characters of a policy file at most."""
MAX_VALUE = 1024 * 1024
"""Bytes of a node value at most."""


PUT_POLICY = """
    INSERT INTO policy_file VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET
    text = excluded.text, changed_at = excluded.changed_at, changed_by = excluded.changed_by
"""
DELETE_POLICY = "DELETE FROM policy_file WHERE name = ?"
SELECT_POLICIES = "SELECT name, text, changed_at, changed_by FROM policy_file ORDER BY name"
PUT_VALUE = """
    INSERT INTO node_value VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
SELECT_VALUE = "SELECT value FROM node_value WHERE name = ?"

performs = DirectPerformers()


@performs(KeepPolicy)
def put_policy(connection: engine.Connection, operation: KeepPolicy) -> None:
    """Insert or replace a policy file. Raises InvalidInputError for one that is too long."""
    policy = operation.file
    if not policy.name or len(policy.name) > 256 or len(policy.text) > MAX_POLICY:
        raise InvalidInputError(
            f"The policy file {policy.name[:80]!r} has {len(policy.text)} characters; expected "
            f"at most {MAX_POLICY}, under a name of 1 to 256."
        )
    connection.execute(
        PUT_POLICY,
        (policy.name, policy.text, policy.changed_at, policy.changed_by),
    )


@performs(RemovePolicy)
def remove_policy(connection: engine.Connection, operation: RemovePolicy) -> None:
    """Delete a policy file. Raises NotFoundError."""
    name = operation.name
    if not connection.execute(DELETE_POLICY, (name,)).rowcount:
        raise NotFoundError(
            f"There is no policy file {name[:80]!r}.", next_step="List the policy files."
        )


@performs(ReadPolicies)
def policies(connection: engine.Connection, _operation: ReadPolicies) -> tuple[PolicyFile, ...]:
    """Return every policy file, by name."""
    rows = connection.execute(SELECT_POLICIES)
    return tuple(
        PolicyFile(name=name, text=text, changed_at=at, changed_by=by)
        for name, text, at, by in rows
    )


@performs(KeepNodeValue)
def set_node_value(connection: engine.Connection, operation: KeepNodeValue) -> None:
    """Insert or replace a value. Raises InvalidInputError for one that is too long."""
    name, value = operation.name, operation.value
    if not name or len(name) > 256 or len(value) > MAX_VALUE:
        raise InvalidInputError(
            f"The node value {name[:80]!r} has {len(value)} bytes; expected at most {MAX_VALUE}, "
            "under a name of 1 to 256 characters."
        )
    if operation.was is not None:
        before = node_value(connection, ReadNodeValue(name=name))
        if operation.was != (b"" if before is None else sha256(before).digest()):
            raise StoreMovedError(
                "Another node has changed what this was decided on.", next_step="Try again."
            )
    connection.execute(PUT_VALUE, (name, bytes(value)))


@performs(ReadNodeValue)
def node_value(connection: engine.Connection, operation: ReadNodeValue) -> bytes | None:
    """Return a value, None if there is none of that name."""
    row = connection.execute(SELECT_VALUE, (operation.name,)).fetchone()
    return None if row is None else bytes(row[0])


@performs(ReadNodeValues)
def node_values(
    connection: engine.Connection, operation: ReadNodeValues
) -> tuple[bytes | None, ...]:
    """Return several values, None for each that there is none of."""
    return tuple(node_value(connection, ReadNodeValue(name=name)) for name in operation.names)
