"""`casemate deps`: what is said of holes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from casemate.advisories import Place
from casemate.cli.commands.deps import _holes
from casemate.sbom.needs import Need, Needs, Standing
from support.advisories import import_records, record

LISTED = Needs(
    packages=(
        Need(
            name="left",
            version="1.0",
            standing=Standing.IMPORTED,
            by=(),
            modules=("left",),
            size=1,
        ),
    ),
    dynamic=(),
    unread=(),
)


def test_holes_are_not_known_where_advisories_cannot_be_relied_upon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASEMATE_ADVISORIES", str(tmp_path))
    place = Place(tmp_path)
    assert _holes(LISTED) is None
    import_records(place, record("GHSA-1"))
    assert _holes(LISTED) == {"left": ["GHSA-1"]}
    import_records(place, record("GHSA-1", name="other"), at=time.time() - 30 * 86400)
    assert _holes(LISTED) is None
