"""Fixtures of the tests of projects' data."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from data_support import TIMED, Clock, Data


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Data]:
    opened = Data(tmp_path / "data")
    yield opened
    opened.finish()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in TIMED:
        monkeypatch.setattr(module, "time", made)
    return made
