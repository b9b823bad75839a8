"""The rows of the vault that nodes share: its state is replaced only by who knows what it is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from casemate.postgresql import session
from casemate.postgresql.connection import Connection
from casemate.postgresql.settings import Settings
from casemate.sqlite import engine
from casemate.store.errors import StoreError, StoreForeignError
from casemate.store.postgresql.bundles import Run
from casemate.store.postgresql.faults import STORE_SERVER
from casemate.store.shared_vault import StateChange, StoredFile, StoredState

_THERE: Final = "SELECT digest, CASE WHEN digest = ? THEN x'' ELSE content END FROM vault_state"
_PUT: Final = """
    INSERT INTO vault_state (one, generation, digest, content) VALUES (1, ?, ?, ?)
    ON CONFLICT (one) DO NOTHING RETURNING one
"""
_REPLACE: Final = """
    UPDATE vault_state SET generation = ?, digest = ?, content = ? WHERE digest = ?
    RETURNING one
"""
_KEEP: Final = """
    INSERT INTO vault_file (name, content) VALUES (?, ?)
    ON CONFLICT (name) DO UPDATE SET content = excluded.content
"""
_TABLES: Final = """
    SELECT to_regclass(?) IS NOT NULL, to_regclass(?) IS NOT NULL
"""
_KIND: Final = "SELECT kind FROM casemate_schema"
_FETCH: Final = """
    SELECT length(content), CASE WHEN length(content) <= ? THEN content END FROM vault_state
"""


class StoredVaultRows:
    """Satisfies `casemate.store.shared_vault.VaultRows`."""

    def __init__(self, ask: Run, change: Run) -> None:
        """`ask` only reads, `change` is durable once awaited."""
        self._ask = ask
        self._change = change

    async def state(self, known: bytes) -> StoredState | None:
        """Return the state, its content unless its digest is `known`."""
        return await self._ask(partial(_state, known=known))

    async def files(self, names: Sequence[str]) -> tuple[bytes | None, ...]:
        """Return the contents of files, None for each that is not there."""
        return await self._ask(partial(_files, names=tuple(names)))

    async def keep_files(self, files: Sequence[StoredFile]) -> None:
        """Keep files, durably."""
        await self._change(partial(_keep, files=tuple(files)))

    async def change(self, change: StateChange) -> bool:
        """Make a change, durably; False and nothing if another state is there."""
        return await self._change(partial(_make, change=change))


def _state(connection: engine.Connection, *, known: bytes) -> StoredState | None:
    row = connection.execute(_THERE, (known,)).fetchone()
    return None if row is None else StoredState(*row)


def _files(connection: engine.Connection, *, names: tuple[str, ...]) -> tuple[bytes | None, ...]:
    found: list[bytes | None] = []
    for name in names:
        row = connection.execute("SELECT content FROM vault_file WHERE name = ?", (name,))
        found.append(next((content for (content,) in row), None))
    return tuple(found)


def _keep(connection: engine.Connection, *, files: tuple[StoredFile, ...]) -> None:
    for file in files:
        connection.execute(_KEEP, file)


def _make(connection: engine.Connection, *, change: StateChange) -> bool:
    values = (change.generation, *change.state)
    if change.expected:
        made = connection.execute(_REPLACE, (*values, change.expected))
    else:
        made = connection.execute(_PUT, values)
    if made.fetchone() is None:
        return False
    _keep(connection, files=tuple(change.added))
    for name in change.removed:
        connection.execute("DELETE FROM vault_file WHERE name = ?", (name,))
    return True


def fetched_state(settings: Settings, schema: str, most: int) -> bytes | None:
    """Return the state as a node gets it that has none yet; None where there is no vault.

    Blocks. Raises StoreError, also for one of more than `most` bytes.
    """
    connection = Connection(session.connected(settings, schema), 0)
    try:
        with STORE_SERVER.translated():
            connection.define("SET default_transaction_read_only = on")
            return _fetched(connection, schema, most)
    finally:
        connection.close()


def _fetched(connection: Connection, schema: str, most: int) -> bytes | None:
    named = (f"{schema}.casemate_schema", f"{schema}.vault_state")
    row = connection.execute(_TABLES, named).fetchone()
    if row is None or not row[0]:
        return None
    kinds = connection.execute(_KIND).fetchall()
    if kinds != [("control",)]:
        raise StoreForeignError(
            f"The schema {schema} is not that of a cluster's control.",
            next_step="Give Casemate a database of its own; nothing was changed.",
        )
    found = connection.execute(_FETCH, (most,)).fetchone() if row[1] else None
    if found is None:
        return None
    if found[1] is None:
        raise StoreError(
            f"The vault in the database has {found[0]} bytes, expected at most {most}.",
            next_step="Bring the database back from a backup.",
        )
    content: bytes = found[1]
    return content
