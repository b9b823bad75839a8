"""The file of a database: checked when it is opened, replaced as a whole, read in no time."""

from __future__ import annotations

import os
import random
import stat

import pytest

from casemate.advisories import (
    Database,
    DatabaseMissingError,
    DatabaseUnreadableError,
    Ecosystem,
    Place,
    default_place,
    judge,
    place_of_node,
)
from casemate.advisories.database import HEADER_BYTES, MAGIC
from support.advisories import NOW, pypi, record

RECORDS = [record(f"X-{n}", name=f"package-{n}", aliases=[f"CVE-{n % 7}"]) for n in range(50)]


def test_what_was_written_is_found_again(bring, place) -> None:
    bring(*RECORDS)
    with Database(place.database) as database:
        assert database.header.packages == 50
        for number in range(50):
            block = database.block(Ecosystem.PYPI, f"package-{number}")
            assert block is not None
            assert [entry.id for entry in block.entries] == [f"X-{number}"]
        assert database.block(Ecosystem.NPM, "package-1") is None
        assert database.block(Ecosystem.PYPI, "package-50") is None


def test_records_are_shown_by_id_and_alias_whatever_the_case(bring, place) -> None:
    bring(*RECORDS)
    with Database(place.database) as database:
        assert [each.id for each in database.descriptions("x-3")] == ["X-3"]
        same = {f"X-{n}" for n in range(50) if n % 7 == 3}
        assert {each.id for each in database.descriptions("cve-3")} == same
        assert database.descriptions("CVE-99") == []
        assert database.descriptions("\ud800") == []


def test_it_is_private_and_no_link_is_followed(bring, place) -> None:
    bring(*RECORDS)
    assert stat.S_IMODE(place.database.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.folder.stat().st_mode) == 0o700
    moved = place.folder / "moved"
    place.database.rename(moved)
    place.database.symlink_to(moved)
    with pytest.raises(DatabaseUnreadableError):
        Database(place.database)


def test_a_missing_one_is_told_apart(place) -> None:
    with pytest.raises(DatabaseMissingError):
        Database(place.database)
    place.database.mkdir(parents=True)
    with pytest.raises(DatabaseUnreadableError):
        Database(place.database)


def test_cut_off_grown_or_foreign_files_are_unreadable(bring, place) -> None:
    bring(*RECORDS)
    data = place.database.read_bytes()
    for other in (
        *(data[:size] for size in (0, 10, HEADER_BYTES - 1, HEADER_BYTES, len(data) - 1)),
        data + b"x",
        b"SQLite format 3\0" + data,
        MAGIC + b"0" * 64 + b"\n" + data,
        b"\0" * len(data),
    ):
        place.database.write_bytes(other)
        with pytest.raises(DatabaseUnreadableError):
            Database(place.database)


def test_any_flipped_byte_is_found_when_it_is_read(bring, place) -> None:
    bring(*RECORDS)
    data = place.database.read_bytes()
    chosen = random.Random(7)
    for _ in range(60):
        at = chosen.randrange(len(data))
        place.database.write_bytes(
            data[:at] + bytes([data[at] ^ 1 << chosen.randrange(8)]) + data[at + 1 :]
        )
        with pytest.raises(DatabaseUnreadableError), Database(place.database) as database:
            for number in range(50):
                database.block(Ecosystem.PYPI, f"package-{number}")
                database.descriptions(f"X-{number}")


def test_a_file_that_shrinks_under_a_reader_is_an_error(bring, place) -> None:
    bring(*RECORDS)
    with Database(place.database) as database:
        os.truncate(place.database, HEADER_BYTES)
        with pytest.raises(DatabaseUnreadableError):
            database.block(Ecosystem.PYPI, "package-1")


def test_an_open_one_outlives_its_replacement(bring, place) -> None:
    bring(*RECORDS)
    with Database(place.database) as database:
        bring(record(), now=NOW + 1)
        assert database.block(Ecosystem.PYPI, "package-1") is not None
    assert judge([pypi("left", "1")], place, now=NOW + 2).findings


def test_where_it_is_kept(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    usual = "/home/ada/.cache/casemate/advisories"
    assert str(default_place({}).folder) == usual
    assert str(default_place({"XDG_CACHE_HOME": "/c"}).folder) == "/c/casemate/advisories"
    assert (
        str(default_place({"XDG_CACHE_HOME": "c"}).folder) == "/home/ada/.cache/casemate/advisories"
    )
    assert str(default_place({"CASEMATE_ADVISORIES": "/a"}).folder) == "/a"
    assert place_of_node(tmp_path).folder == tmp_path / "advisories"


def test_an_attempt_that_cannot_be_read_is_a_problem(bring, place: Place) -> None:
    bring(*RECORDS)
    place.attempt.write_text("<html>")
    judged = judge([pypi("package-1", "1")], place, now=NOW)
    assert "how the last import ended" in judged.problems[0].text
    place.attempt.unlink()
    place.attempt.symlink_to("/etc/passwd")
    assert judge([pypi("package-1", "1")], place, now=NOW).problems
