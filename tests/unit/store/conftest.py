"""Both adapters of the port, each at a place that can be opened again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from store_samples import KEY, Opening

from casemate.postgresql.settings import Settings
from casemate.store.postgresql.schema import COUNTS, PROOFS, RECORDS, STEPPING
from casemate.store.postgresql.store import SCHEMA, PostgresqlStore
from casemate.store.sqlite.store import SqliteStore
from support.database import Server
from support.proved_store import proved

CLUSTER = "tests"


@pytest.fixture(scope="session")
def empty_store(postgresql_server: Server) -> Callable[[], str]:
    """Return what empties the store on the server and returns the URL of its database.

    One database for all tests: making one takes longer than most of them.
    """
    name = postgresql_server.database()
    url = postgresql_server.url(name)
    asyncio.run(PostgresqlStore.open(Settings.of_url(url), cluster=CLUSTER).close())
    tables = (
        *(*STEPPING, *COUNTS, *PROOFS, *RECORDS, "exclusive", "node", "topic", "node_numbers"),
        *("vault_state", "vault_file"),
    )
    emptying = "; ".join(f'DELETE FROM {SCHEMA}."{table}"' for table in tables)

    connection = postgresql_server.connect(name)
    # No triggers, and no order among those that refer to others.
    connection.execute("SET session_replication_role = replica")

    def emptied() -> str:
        connection.execute(emptying)  # type: ignore[arg-type]
        return url

    return emptied


@pytest.fixture
def database(empty_store: Callable[[], str]) -> str:
    """The URL of a database with an empty store."""
    return empty_store()


@pytest.fixture(params=["sqlite", "postgresql"])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Opening:
    if request.param == "sqlite":
        return lambda: SqliteStore.open(tmp_path / "s", key=KEY)
    settings = Settings.of_url(request.getfixturevalue("database"))
    return lambda: proved(PostgresqlStore.open(settings, cluster=CLUSTER))
