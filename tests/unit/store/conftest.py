"""Both adapters of the port, each at a place that can be opened again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from store_samples import KEY, Opening

from casemate.postgresql.settings import Settings
from casemate.store.postgresql.store import PostgresqlStore
from casemate.store.sqlite.store import SqliteStore
from support.database import Server

CLUSTER = "tests"


@pytest.fixture(scope="session")
def store_template(postgresql_server: Server) -> str:
    """A database with an empty store, to be copied."""
    name = postgresql_server.database()
    store = PostgresqlStore.open(Settings.of_url(postgresql_server.url(name)), cluster=CLUSTER)
    store._shut()
    return name


@pytest.fixture
def database(postgresql_server: Server, store_template: str) -> Iterator[str]:
    """The URL of a database with an empty store."""
    name = postgresql_server.database(store_template)
    yield postgresql_server.url(name)
    postgresql_server.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Opening:
    if request.param == "sqlite":
        return lambda: SqliteStore.open(tmp_path / "s", key=KEY)
    settings = Settings.of_url(request.getfixturevalue("database"))
    return lambda: PostgresqlStore.open(settings, cluster=CLUSTER)
