"""What the tests of advisories share: a place to import records to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from casemate.advisories import Place
from casemate.advisories.importing import Imported, Wanted, import_advisories
from support.advisories import NOW, Record


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "kept")


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., Path]:
    """Writes records to a folder."""

    def write(*records: Record, folder: str = "source") -> Path:
        target = tmp_path / folder
        target.mkdir(exist_ok=True)
        for number, each in enumerate(records):
            (target / f"{number}.json").write_text(json.dumps(each))
        return target

    return write


@pytest.fixture
def bring(place: Place, source: Callable[..., Path]) -> Callable[..., Imported]:
    """Imports records into the place."""

    def run(*records: Record, now: float = NOW, **options: Any) -> Imported:
        folder = source(*records, folder=f"source-{now}-{len(records)}")
        wanted = Wanted(source=str(folder), **{"fewer": True, **options})
        return import_advisories(wanted, place, clock=lambda: now)

    return run
