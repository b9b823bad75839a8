"""`casemate deps`: what is said of holes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from casemate.advisories import Ecosystem, Place, look
from casemate.cli.commands.deps import _holes, _judged, _Looked
from casemate.cli.errors import CommandError
from casemate.cli.hole_check import JudgedBundle
from casemate.cli.lock_updates import _require_advisories
from casemate.model.vulnerability import Hole, JudgedFunction, Verdict
from casemate.sbom.needs import Need, Needs, Standing
from casemate.sbom.symbols import Found, Reach
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
    assert _holes(_judged(LISTED)) is None
    import_records(place, record("GHSA-1"))
    assert _holes(_judged(LISTED)) == {"left": ["GHSA-1"]}
    import_records(place, record("GHSA-1", name="other"), at=time.time() - 30 * 86400)
    assert _holes(_judged(LISTED)) is None


FOUND = Found(Reach.UNREACHED, "nothing that may run names left.f")


def test_whether_the_code_comes_to_a_hole_stands_beside_it() -> None:
    told: Any = {"name": "t/f", "built": None, "needs": LISTED, "evidence": None}
    looked = _Looked(**told, holes={"left": ["GHSA-1", "GHSA-2"]}, reach={"GHSA-2": FOUND})
    assert looked.told("left") == "GHSA-1, GHSA-2 (unreached)"
    assert looked.told("right") == "none"
    assert looked._replace(holes=None).told("left") == "?"


def test_a_deploy_says_so_in_words_and_refuses_all_the_same() -> None:
    hole = Hole(
        ecosystem="PyPI",
        package="left",
        version="1.0",
        id="GHSA-2",
        ids=("GHSA-2",),
        severity="high",
        score=8.0,
        malicious=False,
        known_exploited=False,
        likelihood=None,
        fixed=(),
        summary="",
        symbols=("left.f",),
        verdict=Verdict.REFUSED,
        why="it is high",
    )
    judged = JudgedBundle(
        function="t/f",
        judged=JudgedFunction(holes=(hole,)),
        reached={"left": "imported by code/app.py"},
        symbols={hole.key: FOUND},
    )
    assert judged.way(hole) == (
        "imported by code/app.py; unreached: nothing that may run names left.f"
    )
    assert judged.judged.refused


def test_what_is_not_known_of_npm_stops_no_update_of_python(tmp_path: Path, monkeypatch) -> None:
    place = Place(tmp_path / "advisories")
    monkeypatch.setenv("CASEMATE_ADVISORIES", str(place.folder))
    with pytest.raises(CommandError, match="Known vulnerabilities cannot be listed"):
        _require_advisories()
    import_records(place, record(name="six"), ecosystems=tuple(Ecosystem))
    assert not look(place, time.time()).good
    _require_advisories()
