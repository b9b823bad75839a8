"""How far a log is committed: every lost commit is named, no torn end is, and it costs little."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from casemate.sqlite import engine
from casemate.sqlite.commit_count import SUFFIX, CommitCount, forget, lost_commits

KEY = bytes(range(32))
FRAME = 24 + 4096


class Database:
    """A database that a process was killed in the middle of, as it lies on the disk."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.path = folder / "x.db"
        self.connection = engine.connect(self.path, KEY, create=True)
        engine.use_wal(self.connection)
        self.count = CommitCount(self.path)
        self.connection.execute("CREATE TABLE t (a, b)")
        self.count.attach()
        self.rows = 0

    def commit(self, rows: int = 1, *, told: bool = True) -> None:
        for _ in range(rows):
            self.rows += 1
            self.connection.execute("INSERT INTO t VALUES (?, ?)", (self.rows, b"x" * 3000))
            if told:
                self.count.note()

    def killed(self, folder: Path) -> Path:
        shutil.copytree(self.path.parent, folder)
        (folder / "x.db-shm").unlink()
        return folder / "x.db"

    def close(self) -> None:
        self.count.closing()
        self.connection.close()
        self.count.close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "d")
    yield made
    made.close()


def rows(path: Path) -> int:
    with closing(engine.connect(path, KEY)) as connection:
        return int(connection.execute("SELECT count(*) FROM t").fetchone()[0])


def change(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_any_changed_bit_of_what_was_committed_is_a_loss(
    database: Database, tmp_path: Path
) -> None:
    database.commit(12)
    path = database.killed(tmp_path / "k")
    log = Path(f"{path}-wal")
    whole, chosen = log.read_bytes(), random.Random(3)
    places = [*range(32), *(chosen.randrange(len(whole)) for _ in range(40)), len(whole) - 1]
    for at in places:
        change(log, at)
        lost = lost_commits(path)
        assert lost is not None and "x.db-wal" in lost, at
        log.write_bytes(whole)
    assert lost_commits(path) is None
    assert rows(path) == 12


@pytest.mark.parametrize("left", [0, 10, 32, 32 + FRAME, -FRAME, -1])
def test_a_log_that_was_cut_is_a_loss(database: Database, tmp_path: Path, left: int) -> None:
    database.commit(8)
    path = database.killed(tmp_path / "k")
    log = Path(f"{path}-wal")
    log.write_bytes(log.read_bytes()[:left])
    assert lost_commits(path) is not None
    log.unlink()
    assert "is gone" in (lost_commits(path) or "")


def test_what_nobody_was_told_of_may_be_torn(database: Database, tmp_path: Path) -> None:
    database.commit(5)
    told = Path(f"{database.path}-wal").stat().st_size
    database.commit(5, told=False)
    path = database.killed(tmp_path / "k")
    log = Path(f"{path}-wal")
    content = log.read_bytes()
    for end in range(told, len(content), 1500):
        log.write_bytes(content[:end] + b"torn" * 100)
        assert lost_commits(path) is None
    assert rows(path) >= 5


def test_a_log_that_has_begun_anew_is_no_loss(database: Database, tmp_path: Path) -> None:
    database.commit(5)
    database.connection.execute("PRAGMA wal_checkpoint(FULL)").fetchall()
    database.commit(2, told=False)  # killed before the first of them was told
    path = database.killed(tmp_path / "k")
    assert lost_commits(path) is None
    assert rows(path) == 7


def test_a_database_that_was_closed_has_nothing_in_its_log(
    database: Database, tmp_path: Path
) -> None:
    database.commit(5)
    database.count.closing()
    path = database.killed(tmp_path / "k")
    Path(f"{path}-wal").unlink()
    assert lost_commits(path) is None


def test_one_damaged_record_hides_one_commit_and_two_are_told(
    database: Database, tmp_path: Path
) -> None:
    database.commit(9)
    path = database.killed(tmp_path / "k")
    count = Path(f"{path}{SUFFIX}")
    whole = count.read_bytes()
    for slot in (0, 512):
        change(count, slot + 20)
        assert lost_commits(path) is None
        change(Path(f"{path}-wal"), 32 + FRAME + 100)
        assert lost_commits(path) is not None
        change(Path(f"{path}-wal"), 32 + FRAME + 100)
        count.write_bytes(whole)
    change(count, 20)
    change(count, 532)
    assert "is damaged" in (lost_commits(path) or "")
    forget(path)
    assert lost_commits(path) is None, "of a backup or an earlier release nothing is known"


def test_the_index_is_followed_when_the_engine_makes_another(
    database: Database, tmp_path: Path
) -> None:
    database.commit(3)
    database.count.closing()
    database.connection.close()
    database.connection = engine.connect(database.path, KEY)
    database.connection.execute("SELECT count(*) FROM t").fetchone()
    database.count.attach()
    database.commit(4)
    path = database.killed(tmp_path / "k")
    assert lost_commits(path) is None
    change(Path(f"{path}-wal"), 32 + 2 * FRAME + 500)
    assert "page 3 of" in (lost_commits(path) or "")
