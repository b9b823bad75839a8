"""Migrations: wholly or not at all, never backwards."""

from __future__ import annotations

import pytest
from store_samples import digest, memory

from casemate.model.principal import INVOKER, OWNER, RoleBinding
from casemate.operations.accounts import ReadTokens
from casemate.sqlite import engine
from casemate.store import StoreError, StoreVersionError
from casemate.store.sqlite import accounts
from casemate.store.sqlite.old_records import TABLES
from casemate.store.sqlite.schema import APPLICATION_ID, KEPT_TABLES, MIGRATIONS, migrate

OLD = (("CREATE TABLE a (x INTEGER) STRICT",),)
NEW = (*OLD, ("ALTER TABLE a ADD COLUMN y TEXT", "CREATE TABLE b (z INTEGER) STRICT"))
BROKEN = (*OLD, ("CREATE TABLE b (z INTEGER) STRICT", "CREATE TABLE b (z INTEGER) STRICT"))


@pytest.fixture
def connection() -> engine.Connection:
    return memory()


def pragma(connection: engine.Connection, name: str) -> int:
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def tables(connection: engine.Connection) -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return {row[0] for row in rows}


def test_an_empty_database_gets_the_newest_schema(connection: engine.Connection) -> None:
    migrate(connection)
    assert pragma(connection, "user_version") == len(MIGRATIONS)
    assert pragma(connection, "application_id") == APPLICATION_ID
    assert tables(connection) - {"sqlite_sequence"} == {*KEPT_TABLES, *TABLES}


def test_every_table_is_strict(connection: engine.Connection) -> None:
    migrate(connection)
    rows = connection.execute("PRAGMA table_list").fetchall()
    strict = {row[1]: row[5] for row in rows if row[1] in {*KEPT_TABLES, *TABLES}}
    assert set(strict.values()) == {1}


def test_an_older_schema_is_brought_forward_with_its_rows(connection: engine.Connection) -> None:
    migrate(connection, OLD)
    connection.execute("INSERT INTO a VALUES (7)")
    migrate(connection, NEW)
    assert connection.execute("SELECT x, y FROM a").fetchall() == [(7, None)]
    assert "b" in tables(connection)
    assert pragma(connection, "user_version") == 2
    migrate(connection, NEW)
    assert pragma(connection, "user_version") == 2


def test_a_failing_migration_changes_nothing(connection: engine.Connection) -> None:
    migrate(connection, OLD)
    with pytest.raises(StoreError):
        migrate(connection, BROKEN)
    assert tables(connection) == {"a"}
    assert pragma(connection, "user_version") == 1
    assert not connection.in_transaction


def test_a_newer_schema_is_refused_and_kept(connection: engine.Connection) -> None:
    migrate(connection, NEW)
    with pytest.raises(StoreVersionError, match=r"version 2.*up to 1.*Next: Start"):
        migrate(connection, OLD)
    assert pragma(connection, "user_version") == 2


def test_keys_go_on_as_tokens(connection: engine.Connection) -> None:
    migrate(connection, MIGRATIONS[:1])
    connection.executemany(
        "INSERT INTO api_key (id, name, role, sha256, created_at, revoked_at) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        [
            ("k1", "first", "admin", digest("e"), 1.0, None),
            ("k2", "shop", "invoke", digest("f"), 2.0, None),
            ("k3", "old", "admin", digest("0"), 3.0, 4.0),
            ("k4", "odd", "unknown", digest("1"), 5.0, None),
        ],
    )
    migrate(connection)
    first, shop, old, odd = accounts.tokens(connection, ReadTokens())
    assert (first.id, first.name, first.sha256) == ("k1", "first", digest("e"))
    assert first.bindings == (RoleBinding(role=OWNER),)
    assert shop.bindings == (RoleBinding(role=INVOKER),)
    assert old.revoked_at == 4.0
    assert odd.bindings == ()
    assert {t.user for t in (first, shop, old, odd)} == {None}
