"""Fixtures of the tests of projects' data."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from data_support import Clock, Data, FrozenClock, shared


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    import os

    return os.environ.get("CASEMATE_TEST_ENGINE", "sqlite")


@pytest.fixture
def data(tmp_path: Path, engine: str, request: pytest.FixtureRequest) -> Iterator[Data]:
    if engine == "sqlite":
        opened = Data(tmp_path / "data")
    else:
        opened = shared(request.getfixturevalue("postgresql_server"), tmp_path / "data")
    yield opened
    opened.finish()


@pytest.fixture
def clock(request: pytest.FixtureRequest) -> Clock:
    made = Clock()
    frozen = FrozenClock(made)
    frozen.start()
    request.addfinalizer(frozen.stop)
    return made
