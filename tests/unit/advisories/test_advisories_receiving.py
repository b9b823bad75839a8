"""A database that somebody else has compiled is checked, and never takes anything back."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from casemate.advisories import (
    BusyError,
    Database,
    OlderError,
    Package,
    Place,
    SourceError,
    judge,
    receive,
)
from casemate.advisories import database as database_module
from casemate.advisories.entry import Block
from support.advisories import NOW, import_records, pypi, record


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "place")
    import_records(place, record("GHSA-1"), record("GHSA-2", name="right"), at=NOW)
    return place


def compiled(folder: Path, *names: str, at: float, modified: str = "") -> Path:
    """Return a database about packages of these names."""
    place = Place(folder / "elsewhere")
    changes = {"modified": modified} if modified else {}
    found = [record(f"GHSA-{n}", name=name, **changes) for n, name in enumerate(names)]
    import_records(place, *found, at=at)
    copy = folder / "sent"
    shutil.copyfile(place.database, copy)
    return copy


def holes(place: Place, *packages: Package) -> int:
    return len(judge(packages, place, now=NOW + 60).findings)


def test_a_newer_one_is_taken(place: Place, tmp_path: Path) -> None:
    sent = compiled(tmp_path, "new", "left", at=NOW + 10)
    header = receive(sent, place, NOW + 60)
    assert header.imported == NOW + 10 and not sent.exists()
    assert holes(place, pypi("new", "1.0")) == 1 and holes(place, pypi("right", "1.0")) == 0
    assert place.database.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("at", "names", "modified"),
    [
        (NOW - 3600, ("a", "b"), ""),  # rolled back
        (NOW + 7200, ("a", "b"), ""),  # from the future
        (NOW + 10, ("a", "b"), "2020-01-01T00:00:00Z"),  # an old copy, imported anew
        (NOW + 10, (), ""),  # nothing in it
    ],
)
def test_what_takes_back_is_refused(
    place: Place, tmp_path: Path, at: float, names: tuple[str, ...], modified: str
) -> None:
    before = place.database.read_bytes()
    if not names:
        import_records(place, *(record(f"G-{n}", name=f"p{n}") for n in range(9)), at=NOW)
        before = place.database.read_bytes()
        names = ("a",)
    with pytest.raises(OlderError):
        receive(compiled(tmp_path, *names, at=at, modified=modified), place, NOW + 60)
    assert place.database.read_bytes() == before


def test_fewer_takes_less_but_nothing_that_was_imported_earlier(
    place: Place, tmp_path: Path
) -> None:
    old = "2020-01-01T00:00:00Z"
    receive(compiled(tmp_path, "a", at=NOW + 10, modified=old), place, NOW + 60, fewer=True)
    with pytest.raises(OlderError):
        receive(compiled(tmp_path, "a", "b", at=NOW - 3600), place, NOW + 60, fewer=True)


def test_every_byte_counts(place: Place, tmp_path: Path) -> None:
    data = compiled(tmp_path, "new", "left", at=NOW + 10).read_bytes()
    before, chosen = place.database.read_bytes(), random.Random(1)
    for at in chosen.sample(range(len(data)), 150):
        damaged = bytearray(data)
        damaged[at] ^= 1 << chosen.randrange(8)
        sent = tmp_path / "damaged"
        sent.write_bytes(damaged)
        with pytest.raises(SourceError):
            receive(sent, place, NOW + 60)
    for cut in (0, 10, len(data) // 2, len(data) - 1):
        sent.write_bytes(data[:cut])
        with pytest.raises(SourceError):
            receive(sent, place, NOW + 60)
    assert place.database.read_bytes() == before


def test_a_block_under_another_name_is_refused(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its digests are right: who compiles it makes them."""
    from casemate.advisories import writing

    real = writing.Block

    def lying(ecosystem: object, name: str, entries: object) -> Block:
        return real(ecosystem, "other" if name == "left" else name, entries)  # type: ignore[arg-type]

    monkeypatch.setattr(writing, "Block", lying)
    sent = compiled(tmp_path, "left", at=NOW + 10)
    with pytest.raises(SourceError):
        receive(sent, place, NOW + 60)


def test_blocks_are_bounded(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module.limits, "MAX_RECEIVED_BLOCK_BYTES", 20)
    with pytest.raises(SourceError):
        receive(compiled(tmp_path, "left", "x", at=NOW + 10), place, NOW + 60)


def test_one_import_at_a_time(place: Place, tmp_path: Path) -> None:
    sent = compiled(tmp_path, "left", "x", at=NOW + 10)
    with place.importing(), pytest.raises(BusyError):
        receive(sent, place, NOW + 60)


def test_a_link_is_not_followed(place: Place, tmp_path: Path) -> None:
    sent = compiled(tmp_path, "left", "x", at=NOW + 10)
    link = tmp_path / "link"
    link.symlink_to(sent)
    with pytest.raises(SourceError):
        receive(link, place, NOW + 60)
    assert Database(place.database).header.imported == NOW
