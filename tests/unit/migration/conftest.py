"""A node's state in a folder, and a place for it on a server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from migration_samples import FakeKeys, Folder, Shared, fill_data, fill_store

from support.database import Server


@pytest.fixture
def keys() -> FakeKeys:
    return FakeKeys()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to be copied: filling one costs more."""
    made = Folder(tmp_path_factory.mktemp("filled") / "node", FakeKeys())
    made.with_store(fill_store)
    made.with_data(fill_data)
    made.bundle()
    made.runner.close()
    return made.folders.data


@pytest.fixture
def folder(filled: Path, tmp_path: Path, keys: FakeKeys) -> Folder:
    shutil.copytree(filled, tmp_path / "node")
    return Folder(tmp_path / "node", keys)


@pytest.fixture(scope="session")
def database(postgresql_server: Server) -> str:
    """One for all tests: making one costs more than most of them."""
    return postgresql_server.database()


@pytest.fixture
def shared(
    tmp_path: Path, keys: FakeKeys, postgresql_server: Server, database: str
) -> Iterator[Shared]:
    made = Shared(postgresql_server, database, tmp_path / "blobs", keys)
    yield made
    made.runner.close()
    if schemas := made.schemas():
        made.sql(f"DROP SCHEMA {', '.join(schemas)} CASCADE")
