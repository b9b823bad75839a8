"""Holes of real packages are found with exactly their ids, and their fixed versions are clean."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from known_holes import NPM, PYPI, Hole

from casemate.advisories import Database, Ecosystem, Package, Place, judge
from casemate.advisories.importing import Wanted, import_advisories
from support.advisories import NOW, Record, record

ALL = [(Ecosystem.PYPI, hole) for hole in PYPI] + [(Ecosystem.NPM, hole) for hole in NPM]
_FOLDER = "CASEMATE_OSV_RECORDS"


def package(ecosystem: Ecosystem, hole: Hole, version: str) -> Package:
    return Package(ecosystem=ecosystem, name=hole.package, version=version)


def records() -> Iterator[Record]:
    """Yield two records of each hole, as two databases have them."""
    for ecosystem, hole in ALL:
        ids = (hole.id, f"OTHER-{hole.id}")
        for own, other in (ids, ids[::-1]):
            yield record(
                own,
                aliases=[other],
                name=hole.package,
                ecosystem=ecosystem,
                events=[
                    event
                    for introduced, fixed in hole.ranges
                    for event in ({"introduced": introduced}, {"fixed": fixed})
                ],
            )


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("holes")
    for number, each in enumerate(records()):
        (folder / f"{number}.json").write_text(json.dumps(each))
    place = Place(tmp_path_factory.mktemp("place"))
    import_advisories(Wanted(source=str(folder)), place, clock=lambda: NOW)
    return place


def test_there_are_many_of_them() -> None:
    assert len({hole.package for _, hole in ALL}) >= 60


@pytest.mark.parametrize(("ecosystem", "hole"), ALL, ids=lambda each: getattr(each, "id", None))
def test_a_hole_is_found_and_its_fix_is_clean(known: Place, ecosystem, hole: Hole) -> None:
    found = judge([package(ecosystem, hole, hole.holed)], known, now=NOW)
    # Other holes of the same package count as well, exactly where their own ranges say so.
    expected = {
        other.id
        for there, other in ALL
        if (there, other.package) == (ecosystem, hole.package) and _lies_in(hole.holed, other)
    }
    assert hole.id in expected
    assert {finding.id for finding in found.findings} == expected
    assert all(f"OTHER-{finding.id}" in finding.ids for finding in found.findings)
    fixed = judge([package(ecosystem, hole, hole.clean)], known, now=NOW)
    assert hole.id not in {finding.id for finding in fixed.findings}
    assert not fixed.not_judged


def _lies_in(version: str, hole: Hole) -> bool:
    """Tell it by numbers alone, which all of these versions are made of."""

    def numbers(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in text.replace("b", ".0.").split("."))

    def padded(text: str) -> tuple[int, ...]:
        return (*numbers(text), 0, 0, 0, 0)[:4]

    return any(
        padded(introduced) <= padded(version) < padded(fixed) for introduced, fixed in hole.ranges
    )


@pytest.mark.skipif(_FOLDER not in os.environ, reason=f"{_FOLDER} names no folder of OSV records")
def test_a_real_database_knows_the_same_holes(tmp_path: Path) -> None:
    place = Place(tmp_path / "place")
    source = os.environ.get(_FOLDER, "")
    done = import_advisories(Wanted(source=source), place)
    assert done.header.records
    missed, wrong, compared = [], [], 0
    with Database(place.database) as database:
        for ecosystem, hole in ALL:
            told = [line for each in database.descriptions(hole.id) for line in each.packages]
            if not any(line.startswith(f"{ecosystem} {hole.package}:") for line in told):
                continue  # no hole of this package to that database
            compared += 1
            holed = judge([package(ecosystem, hole, hole.holed)], place).findings
            clean = judge([package(ecosystem, hole, hole.clean)], place).findings
            missed += [hole] if not any(hole.id in each.ids for each in holed) else []
            wrong += [hole] if any(hole.id in each.ids for each in clean) else []
    assert (missed, wrong) == ([], [])
    assert compared >= 20
