"""API keys, in SQL. Runs on the thread that owns the connection it is given."""

from __future__ import annotations

import re
import sqlite3
import time

import msgspec

from casemate.model.deployment import Key, KeyRole
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError

_SHA256 = re.compile(r"[0-9a-f]{64}")
_INSERT = """
    INSERT INTO api_key (id, name, role, sha256, created_at, revoked_at)
    VALUES (?, ?, ?, ?, ?, ?)
"""
_SELECT_ALL = """
    SELECT id, name, role, sha256, created_at, revoked_at FROM api_key
    ORDER BY created_at, sequence
"""
_SELECT_ONE = """
    SELECT id, name, role, sha256, created_at, revoked_at FROM api_key WHERE id = ?
"""


def add_key(connection: sqlite3.Connection, key: Key) -> None:
    """Insert a key.

    Raises ConflictError if its id, or its name by a key not revoked, is taken; InvalidInputError
    if what it holds is not a SHA-256.
    """
    if not key.id or not _SHA256.fullmatch(key.sha256):
        raise InvalidInputError(
            f"The key {key.id[:80]!r} is not valid: expected an id and a SHA-256 in hex digits."
        )
    taken = connection.execute(
        "SELECT id, name FROM api_key WHERE id = ? OR (name = ? AND revoked_at IS NULL)",
        (key.id, key.name),
    ).fetchone()
    if taken:
        what = f"id {key.id!r}" if taken[0] == key.id else f"name {key.name!r}"
        raise ConflictError(
            f"There is a key with the {what} already.",
            next_step="Give the key another name, or revoke the one that has it.",
        )
    connection.execute(
        _INSERT,
        (key.id, key.name, key.role.value, key.sha256, key.created_at, key.revoked_at),
    )


def keys(connection: sqlite3.Connection) -> tuple[Key, ...]:
    """Return every key, oldest first."""
    rows = connection.execute(_SELECT_ALL)
    return tuple(_key(row) for row in rows)


def revoke_key(connection: sqlite3.Connection, key_id: str) -> Key:
    """Mark a key revoked now, unless it is; return it. Raises NotFoundError if there is none."""
    row = connection.execute(_SELECT_ONE, (key_id,)).fetchone()
    if row is None:
        raise NotFoundError(
            f"There is no key with the id {key_id[:80]!r}.", next_step="List the keys."
        )
    key = _key(row)
    if key.revoked_at is not None:
        return key
    now = time.time()
    connection.execute("UPDATE api_key SET revoked_at = ? WHERE id = ?", (now, key_id))
    return msgspec.structs.replace(key, revoked_at=now)


def _key(row: tuple[str, str, str, str, float, float | None]) -> Key:
    key_id, name, role, sha256, created_at, revoked_at = row
    return Key(
        id=key_id,
        name=name,
        role=KeyRole(role),
        sha256=sha256,
        created_at=created_at,
        revoked_at=revoked_at,
    )
