"""Real records, of the Python Packaging Advisory Database, hold of real packages what they say.

`pypa/` has an excerpt of 10 October 2024 with its licence, CC-BY 4.0: two records at most of each
of 81 packages, their details shortened.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from real_holes import REAL

from casemate.advisories import Database, Judge, Place, judge
from casemate.advisories.importing import Wanted, import_advisories
from support.advisories import NOW, pypi

EXCERPT = Path(__file__).parent / "pypa" / "pypa-advisories-2024-10-10.zip"

OTHERWISE = {
    # Came out after the list was made, and lie in the range.
    *(("notebook", version) for version in ("5.7.14a0", "5.7.14", "5.7.15")),
    # Is listed although the range ends with it.
    ("wagtail", "2.11.6"),
}
"""Of which the records' own lists and ranges say different things."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("real"))
    done = import_advisories(Wanted(source=str(EXCERPT)), place, clock=lambda: NOW)
    assert done.header.records == {"PyPI": 136, "npm": 0} and not done.header.undecided
    return place


def test_at_least_sixty_packages_have_exactly_their_advisories(place: Place) -> None:
    assert len(REAL) >= 60 and EXCERPT.with_name("LICENSE").is_file()
    for name, version, ids, clean in REAL:
        found = judge([pypi(name, version)], place, now=NOW)
        assert tuple(sorted(each.id for each in found.findings)) == ids, name
        assert not found.not_judged and not found.problems
        assert all(each.fixed for each in found.findings), name
        after = judge([pypi(name, clean)], place, now=NOW)
        assert after.clean, (name, clean, after.findings)


def test_ranges_alone_say_what_the_lists_of_versions_say(tmp_path: Path) -> None:
    """The lists are the database's own work: each version of them is held against the ranges."""
    listed: dict[str, dict[str, set[str]]] = {}
    folder = tmp_path / "ranges"
    folder.mkdir()
    with zipfile.ZipFile(EXCERPT) as archive:
        for name in archive.namelist():
            record = json.loads(archive.read(name))
            (affected,) = record["affected"]
            versions = listed.setdefault(affected["package"]["name"], {})
            for version in affected.pop("versions"):
                versions.setdefault(version, set()).add(record["id"])
            (folder / f"{record['id']}.json").write_text(json.dumps(record))
    place = Place(tmp_path / "place")
    import_advisories(Wanted(source=str(folder)), place, clock=lambda: NOW)
    asked, expected = [], []
    for name, versions in listed.items():
        for version, ids in versions.items():
            asked.append((pypi(name.lower().replace("_", "-"), version),))
            expected.append((name, version, ids))
    with Database(place.database) as database:
        answers = Judge(database).judge_all(asked)
    differing = [
        (name, version, ids, {each.id for each in found})
        for (name, version, ids), (found, missed) in zip(expected, answers, strict=True)
        if not missed and {each.id for each in found} != ids
    ]
    assert len(asked) > 3000
    assert {(name, version) for name, version, *_ in differing} == OTHERWISE
