"""What a database that is gone has left is found, and kept where nothing opens it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from casemate.sqlite.left_log import SIDES, accept_loss, delete_sides, left_log


@pytest.mark.parametrize("end", ["-wal", "-journal"])
def test_a_log_with_changes_is_found_once_its_database_is_gone(tmp_path: Path, end: str) -> None:
    database = tmp_path / "a.db"
    log = tmp_path / f"a.db{end}"
    assert left_log(database) is None
    log.touch()
    assert left_log(database) is None, "there is nothing in it"
    log.write_bytes(b"changes")
    assert left_log(database) == log
    database.touch()
    assert left_log(database) is None


def test_what_is_accepted_as_lost_is_kept_aside_and_nothing_of_a_database_that_is_there(
    tmp_path: Path,
) -> None:
    database = tmp_path / "a.db"
    for end in SIDES:
        (tmp_path / f"a.db{end}").write_text(end)
    database.touch()
    accept_loss(database)
    assert {f.name for f in tmp_path.iterdir()} == {"a.db", "a.db-wal", "a.db-journal", "a.db-shm"}
    database.unlink()
    accept_loss(database)
    assert left_log(database) is None
    assert {f.name.partition(".lost-")[0]: f.read_text() for f in tmp_path.iterdir()} == {
        f"a.db{end}": end for end in SIDES if end != "-count"
    }
    accept_loss(database)


@pytest.mark.parametrize("clear", [accept_loss, delete_sides])
def test_a_name_is_free_on_the_disk_before_another_database_gets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clear: Callable[[Path], None]
) -> None:
    """A power cut would else leave the new database beside the old log."""
    synced: list[set[str]] = []

    def fsync(_descriptor: int) -> None:
        synced.append({file.name for file in tmp_path.iterdir()})

    monkeypatch.setattr("casemate.sqlite.left_log.os.fsync", fsync)
    clear(tmp_path / "a.db")
    assert synced == [], "there is nothing"
    (tmp_path / "a.db-wal").write_bytes(b"changes")
    clear(tmp_path / "a.db")
    assert len(synced) == 1 and "a.db-wal" not in synced[0]


def test_what_stands_beside_a_name_is_deleted(tmp_path: Path) -> None:
    for end in ("", *SIDES):
        (tmp_path / f"a.db{end}").touch()
    (tmp_path / "a.db2").touch()
    delete_sides(tmp_path / "a.db")
    assert sorted(f.name for f in tmp_path.iterdir()) == ["a.db", "a.db2"]
