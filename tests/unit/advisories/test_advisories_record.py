"""Records are read as the schema says, and what is not one is refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from casemate.advisories import Ecosystem, RecordError, normalised
from casemate.advisories import limits as bounds
from casemate.advisories.entry import described, entries_of
from casemate.advisories.packages import Package, ecosystem_of, package_of_purl
from casemate.advisories.record import read_record
from support.advisories import record


def read(value: Any, name: str = "a/b.json") -> Any:
    return read_record(value if isinstance(value, bytes) else json.dumps(value).encode(), name)


def test_what_the_schema_knows_is_read_and_the_rest_passed_over() -> None:
    found = read(
        record(
            aliases=["CVE-2024-1", "PYSEC-2024-1"],
            severity=[{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
            database_specific={"severity": "HIGH", "deep": [[[{}]]]},
            credits=[{"name": "A"}],
            some_future_field={"x": [1, 2]},
            related=None,
            references=None,
        )
    )
    [(key, entry)] = entries_of(found, {})
    assert key == (Ecosystem.PYPI, "left")
    assert (entry.rating.score, entry.rating.severity) == (9.8, "critical")
    assert found.own_word == "HIGH"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (b"", "no OSV record"),
        (b"\x00\xff", "no OSV record"),
        (b"  <!DOCTYPE html><html>", "is HTML"),
        (b"[]", "no OSV record"),
        (b'{"id": "A"}', "modified"),
        (b'{"id": 7, "modified": "2024-01-01T00:00:00Z"}', "no OSV record"),
        (record(schema_version="2.0.0"), "schema"),
        (record(modified="yesterday"), "no time"),
        (record(withdrawn="2024-13-01T00:00:00Z"), "no time"),
        (record("x" * 300), "no id"),
        (record("a/../b"), "no id"),
        (record("line\nbreak"), "no id"),
        (record(aliases=["CVE"] * 2000), "aliases"),
        (record(events=[]), "events"),
        (record(events=[{"fixed": "1"}]), "introduced"),
        (record(events=[{}]), "exactly one"),
        (record(events=[{"introduced": "0", "fixed": "1"}]), "exactly one"),
        (record(events=[{"introduced": "0"}] * 5000), "events"),
        (record(events=[{"introduced": "1" * 300}]), "characters"),
        (record(versions=["1" * 300]), "characters"),
        (record(versions=["1"] * 60_000), "versions"),
        (
            record(affected=[{"ranges": [{"type": "MAGIC", "events": [{"introduced": "0"}]}]}]),
            "type",
        ),
        (record(affected=[{}] * 6000), "affected"),
        (record(affected=[{"package": {"name": "x"}}]), "ecosystem"),
        (record(affected="none"), "no OSV record"),
    ],
)
def test_what_is_no_record_is_refused_by_name(value: Any, told: str) -> None:
    with pytest.raises(RecordError) as caught:
        read(value)
    assert "a/b.json" in caught.value.message
    assert told in caught.value.message
    assert len(caught.value.message) < 600


def test_deep_nesting_is_refused_wherever_it_is() -> None:
    deep = b'{"a":' * 200_000
    for data in (
        deep,
        b'{"id":"A","modified":"2024-01-01T00:00:00Z","x":' + b"[" * 500_000,
        b'{"id":"A","modified":"2024-01-01T00:00:00Z","database_specific":' + b"[" * 500_000,
    ):
        with pytest.raises(RecordError):
            read(data)


def test_a_record_that_is_too_large_is_not_parsed() -> None:
    with pytest.raises(RecordError, match="larger"):
        read(b" " * (bounds.MAX_RECORD_BYTES + 1))


def test_own_words_that_are_no_words_are_no_error() -> None:
    for value in ([], 7, {"severity": ["HIGH"]}, "x"):
        assert read(record(database_specific=value)).own_word is None


@pytest.mark.parametrize(
    ("ecosystem", "name", "expected"),
    [
        (Ecosystem.PYPI, "Flask_SQLAlchemy", "flask-sqlalchemy"),
        (Ecosystem.PYPI, "zope.interface", "zope-interface"),
        (Ecosystem.PYPI, "a-_.b", "a-b"),
        (Ecosystem.PYPI, "-a", None),
        (Ecosystem.PYPI, "é", None),
        (Ecosystem.PYPI, "a/b", None),
        (Ecosystem.PYPI, "", None),
        (Ecosystem.NPM, "@babel/traverse", "@babel/traverse"),
        (Ecosystem.NPM, "JSONStream", "JSONStream"),
        (Ecosystem.NPM, "@babel", None),
        (Ecosystem.NPM, "a/b", None),
        (Ecosystem.NPM, "@a/b/c", None),
        (Ecosystem.NPM, "a b", None),
        (Ecosystem.NPM, "a\nb", None),
    ],
)
def test_names_are_written_one_way(ecosystem: Ecosystem, name: str, expected: str | None) -> None:
    assert normalised(ecosystem, name) == expected


def test_package_urls_there_and_back() -> None:
    for package in (
        Package(ecosystem=Ecosystem.PYPI, name="torch", version="2.1+cu118"),
        Package(ecosystem=Ecosystem.NPM, name="@babel/traverse", version="7.0.0-rc.1"),
    ):
        assert package_of_purl(package.purl) == package
    scoped = Package(ecosystem=Ecosystem.NPM, name="@a/b", version="1.0.0")
    assert scoped.purl == "pkg:npm/%40a/b@1.0.0"
    assert package_of_purl("pkg:npm/@a/b@1.0.0?x=y#z") == scoped
    for bad in (
        "pkg:gem/rails@1",
        "pkg:pypi/x",
        "x",
        "pkg:pypi/@1",
        "pkg:pypi/é@1",
        "pkg:" + "a" * 999,
    ):
        assert isinstance(package_of_purl(bad), str)


def test_ecosystems_of_other_registries_count() -> None:
    assert ecosystem_of("PyPI:https://example.com") is Ecosystem.PYPI
    assert ecosystem_of("npm") is Ecosystem.NPM
    assert ecosystem_of("Go") is None


def test_commits_alone_are_told_and_not_guessed() -> None:
    git = {"type": "GIT", "repo": "https://x", "events": [{"introduced": "0"}]}
    found = read(
        record(affected=[{"package": {"ecosystem": "PyPI", "name": "x"}, "ranges": [git]}])
    )
    [(_, entry)] = entries_of(found, {})
    assert entry.undecided == "it names commits, and no versions"
    assert "not judged" in described(found, {}).packages[0]
    both = record()
    both["affected"][0]["ranges"].append(git)
    [(_, entry)] = entries_of(read(both), {})
    assert not entry.undecided
    assert len(entry.ranges) == 1


def test_what_is_described_is_bounded() -> None:
    long = "x" * 100_000
    found = described(
        read(
            record(
                details=long, summary=long, references=[{"url": f"https://{n}"} for n in range(999)]
            )
        ),
        {},
    )
    assert len(found.details) == bounds.MAX_DETAILS_CHARS
    assert len(found.summary) == bounds.MAX_SUMMARY_CHARS
    assert len(found.references) == bounds.MAX_REFERENCES


@pytest.mark.parametrize(
    ("specific", "symbols"),
    [
        ({"affected_functions": ["pkg.mod.f", "pkg.C.g"]}, ("pkg.mod.f", "pkg.C.g")),
        ({"imports": [{"path": "pkg/mod", "symbols": ["f", "C.g"]}]}, ("pkg.mod.f", "pkg.mod.C.g")),
        ({"imports": [{"path": "pkg.mod"}]}, ("pkg.mod",)),
        ({"affects": {"functions": ["pkg::mod::f"], "os": []}}, ("pkg.mod.f",)),
        ({"affected_functions": ["a.f", "a.f"], "imports": None}, ("a.f",)),
        ({"other": 1}, ()),
        (None, ()),
        # What is not understood as a whole is as if nothing were named: a part would say too much.
        ({"affected_functions": ["pkg.f", "pkg.f(x)"]}, ()),
        ({"affected_functions": ["pkg.f", 7]}, ()),
        ({"affected_functions": "pkg.f"}, ()),
        ({"affected_functions": [f"pkg.f{n}" for n in range(101)]}, ()),
        ({"affected_functions": ["p" * 201]}, ()),
        ({"affected_functions": ["pkg.\u00e9"]}, ()),
        ({"imports": [{"symbols": ["f"]}]}, ()),
        ([1], ()),
        ("text", ()),
    ],
)
def test_functions_that_have_the_hole_are_read_where_they_are_named(specific, symbols) -> None:
    given = record(name="pkg")
    given["affected"][0]["ecosystem_specific"] = specific
    assert read(given).affected[0].symbols == symbols


def test_a_package_that_is_named_twice_has_functions_only_if_both_say_so() -> None:
    given = record(name="pkg")
    [part] = given["affected"]
    named = {**part, "ecosystem_specific": {"affected_functions": ["pkg.f"]}}
    other = {**part, "ecosystem_specific": {"affected_functions": ["pkg.g"]}}
    for parts, symbols in (([named, other], ("pkg.f", "pkg.g")), ([named, part], ())):
        given["affected"] = parts
        [(_, entry)] = entries_of(read(given), {})
        assert entry.symbols == symbols
