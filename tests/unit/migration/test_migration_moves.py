"""A state that was moved to a server, and back, answers as it did."""

from __future__ import annotations

from pathlib import Path

import pytest
from migration_samples import FakeKeys, Folder, Shared, fill_data, fill_store, to_folder, to_server

from support.database import Server


@pytest.fixture
def keys() -> FakeKeys:
    return FakeKeys()


@pytest.fixture
def folder(tmp_path: Path, keys: FakeKeys) -> Folder:
    made = Folder(tmp_path / "node", keys)
    made.with_store(fill_store)
    made.with_data(fill_data)
    made.bundle()
    return made


@pytest.fixture
def shared(tmp_path: Path, keys: FakeKeys, postgresql_server: Server) -> Shared:
    return Shared(postgresql_server, tmp_path / "blobs", keys)


def test_there_and_back(folder: Folder, shared: Shared, tmp_path: Path) -> None:
    there = to_server(folder, shared)
    back = Folder(tmp_path / "back", folder.keys)
    shared.stop()
    again = to_folder(shared, back)
    assert [(one.part, one.rows, one.digest) for one in there.parts] == [
        (one.part, one.rows, one.digest) for one in again.parts
    ]
