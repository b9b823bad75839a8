"""Findings: which packages are affected, by what, how badly, and what could not be told."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from casemate.advisories import AdvisoriesError, Database, Severity, Trouble, judge
from casemate.advisories.limits import MAX_AGE
from support.advisories import NOW, npm, pypi, record

CRITICAL = [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]
LOW = [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N"}]
BOTH = (record(), record("GHSA-npm", ecosystem="npm", name="@s/pkg"))


def test_an_affected_version_is_found_and_a_fixed_one_is_clean(bring, place) -> None:
    bring(*BOTH)
    judged = judge([pypi("left", "1.9"), npm("@s/pkg", "1.0.0")], place, now=NOW)
    assert {(f.package.name, f.id, f.fixed) for f in judged.findings} == {
        ("left", "GHSA-aaaa-bbbb-cccc", ("2.0.0",)),
        ("@s/pkg", "GHSA-npm", ("2.0.0",)),
    }
    assert not judged.clean
    assert judge(
        [pypi("left", "2.0"), npm("@s/pkg", "2.0.0"), pypi("other", "1")], place, now=NOW
    ).clean


def test_records_of_one_hole_are_one_finding(bring, place) -> None:
    bring(
        record("GHSA-1", aliases=["CVE-1"], severity=LOW),
        record("PYSEC-1", aliases=["CVE-1", "CVE-2"], severity=CRITICAL, summary="worse"),
        record("SNYK-1", aliases=["CVE-2"]),
        record("GHSA-9", aliases=["CVE-9"]),
        *BOTH[1:],
    )
    first, second = judge([pypi("left", "1")], place, now=NOW).findings
    assert first.ids == ("GHSA-1", "CVE-1", "CVE-2", "PYSEC-1", "SNYK-1")
    assert (first.severity, first.score, first.summary) == (Severity.CRITICAL, 9.8, "worse")
    assert second.ids == ("GHSA-9", "CVE-9")


def test_aliases_in_circles_and_hubs_end(bring, place) -> None:
    names = [f"X-{n}" for n in range(200)]
    ring = [record(name, aliases=[names[(n + 1) % 200]]) for n, name in enumerate(names)]
    hub = record("HUB", aliases=[*names, "HUB"])
    bring(*ring, hub)
    [found] = judge([pypi("left", "1")], place, now=NOW).findings
    assert len(found.ids) == 201


def test_thousands_of_records_of_one_package_are_merged_in_no_time(bring, place) -> None:
    bring(*[record(f"X-{n}", aliases=[f"X-{n // 2}"]) for n in range(1, 3000)])
    [found] = judge([pypi("left", "1")], place, now=NOW).findings
    assert len(found.ids) == 3000


def test_a_record_that_says_too_much_of_too_much_is_refused(bring, place) -> None:
    names = [{"package": {"ecosystem": "PyPI", "name": f"p{n}"}} for n in range(5000)]
    with pytest.raises(AdvisoriesError, match="too much of too many"):
        bring(record(aliases=[f"{n:0100}" for n in range(1000)], affected=names))
    assert not place.database.exists()


def test_one_id_with_many_contents_keeps_them_all(bring, place) -> None:
    bring(*[record("A", events=[{"introduced": "0"}, {"fixed": f"{n}"}]) for n in range(1, 1500)])
    [found] = judge([pypi("left", "1400")], place, now=NOW).findings
    assert found.fixed[0] == "1401"


def test_withdrawn_records_count_for_nothing(bring, place) -> None:
    bring(
        record("GHSA-w", withdrawn="2024-01-01T00:00:00Z"),
        record("GHSA-later", name="right", withdrawn="2090-01-01T00:00:00Z"),
    )
    judged = judge([pypi("left", "1"), pypi("right", "1")], place, now=NOW)
    assert [found.id for found in judged.findings] == ["GHSA-later"]


def test_the_newest_of_several_records_counts(bring, place) -> None:
    bring(
        record("A", modified="2026-01-01T00:00:00Z", events=[{"introduced": "0"}]),
        record("A", modified="2026-02-01T00:00:00Z", events=[{"introduced": "5"}]),
        record("A", modified="2025-02-01T00:00:00Z", events=[{"introduced": "0"}]),
        record("B", events=[{"introduced": "7"}]),
        record("B", events=[{"introduced": "0"}, {"fixed": "3"}]),
    )
    ids = {
        version: [f.id for f in judge([pypi("left", version)], place, now=NOW).findings]
        for version in ("1", "4", "6", "8")
    }
    assert ids == {"1": ["B"], "4": [], "6": ["A"], "8": ["A", "B"]}


def test_malicious_packages_are_told_first(bring, place) -> None:
    bring(record("GHSA-1", severity=CRITICAL), record("MAL-2024-1", name="right", versions=["1.0"]))
    judged = judge([pypi("left", "1"), pypi("right", "1.0.0")], place, now=NOW)
    assert [(f.id, f.malicious, f.severity) for f in judged.findings] == [
        ("MAL-2024-1", True, "critical"),
        ("GHSA-1", False, "critical"),
    ]


def test_a_malicious_package_without_versions_is_so_in_all(bring, place) -> None:
    bring(record("MAL-1", versions=[]))
    assert judge([pypi("left", "77")], place, now=NOW).findings


def test_what_is_exploited_and_how_likely_comes_from_files(bring, place, tmp_path: Path) -> None:
    kev, epss = tmp_path / "kev.json", tmp_path / "epss.csv.gz"
    kev.write_text(json.dumps({"vulnerabilities": [{"cveID": "CVE-2", "x": 1}]}))
    epss.write_bytes(
        gzip.compress(b"#model_version:v1,score_date:2026\ncve,epss,percentile\nCVE-1,0.5,0.9\n")
    )
    bring(
        record("GHSA-1", aliases=["CVE-1"], severity=CRITICAL),
        record("GHSA-2", aliases=["CVE-2"], severity=LOW),
        exploited=kev,
        likelihoods=epss,
    )
    first, second = judge([pypi("left", "1")], place, now=NOW).findings
    assert (first.id, first.known_exploited, first.likelihood) == ("GHSA-2", True, None)
    assert (second.id, second.known_exploited, second.likelihood) == ("GHSA-1", False, 0.5)


def test_what_cannot_be_told_is_named(bring, place) -> None:
    git = {"type": "GIT", "repo": "x", "events": [{"introduced": "0"}]}
    bring(
        record(
            "GHSA-git", affected=[{"package": {"ecosystem": "PyPI", "name": "a"}, "ranges": [git]}]
        ),
        record("GHSA-odd", name="b", events=[{"introduced": "0"}, {"fixed": "soon"}]),
        record("GHSA-none", name="c", versions=[]),
    )
    judged = judge(
        [pypi("a", "1"), pypi("b", "1"), pypi("c", "1"), pypi("d", "x?")], place, now=NOW
    )
    assert not judged.findings
    assert not judged.clean
    assert {(each.package, each.reason.split(":")[0]) for each in judged.not_judged} == {
        ("pkg:pypi/a@1", "GHSA-git"),
        ("pkg:pypi/b@1", "GHSA-odd"),
        ("pkg:pypi/c@1", "GHSA-none"),
        ("pkg:pypi/d@x%3F", "'x?' is not a version (PEP 440)"),
    }


def test_missing_advisories_are_never_nothing_found(place) -> None:
    judged = judge([pypi("left", "1")], place, now=NOW)
    assert [problem.kind for problem in judged.problems] == [Trouble.MISSING]
    assert judged.not_judged[0].package == "pkg:pypi/left@1"
    assert judged.next_step
    assert not judged.clean


def test_without_packages_there_is_nothing_to_judge(place) -> None:
    assert judge([], place, now=NOW).clean


@pytest.mark.parametrize(
    ("later", "kinds"),
    [(0, []), (MAX_AGE, []), (MAX_AGE + 1, [Trouble.OLD]), (-200, []), (-400, [Trouble.OLD])],
)
def test_old_advisories_are_a_problem_and_still_find(bring, place, later, kinds) -> None:
    bring(*BOTH)
    judged = judge([pypi("left", "1")], place, now=NOW + later)
    assert [problem.kind for problem in judged.problems] == kinds
    assert judged.findings
    clean = judge([pypi("left", "2")], place, now=NOW + later)
    assert clean.clean == (not kinds)


def test_an_ecosystem_without_records_is_partial_for_who_uses_it(bring, place) -> None:
    bring(record())
    assert judge([pypi("left", "2")], place, now=NOW).clean
    judged = judge([npm("x", "1.0.0")], place, now=NOW)
    assert [problem.kind for problem in judged.problems] == [Trouble.PARTIAL]


def test_a_damaged_byte_anywhere_is_unreadable(bring, place) -> None:
    bring(*BOTH)
    data = bytearray(place.database.read_bytes())
    packages = [pypi("left", "1"), npm("@s/pkg", "1.0.0")]
    with Database(place.database) as database:
        by_id = database.header.by_id
    for at in range(0, by_id.at, 37):
        data[at] ^= 1
        place.database.write_bytes(data)
        judged = judge(packages, place, now=NOW)
        # What is not read for these packages is the description for `show`, checked there.
        described = not judged.problems and len(judged.findings) == 2
        assert described or [p.kind for p in judged.problems] == [Trouble.UNREADABLE], at
        data[at] ^= 1
