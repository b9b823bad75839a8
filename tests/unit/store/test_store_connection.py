"""Files that are damaged, foreign, newer or half-made."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from store_samples import KEY, contents, deploy, memory, opened

from casemate.operations.functions import ListFunctions
from casemate.sqlite import engine
from casemate.sqlite.connecting import Room, open_reader, require_wal
from casemate.store import StoreCorruptError, StoreError, StoreForeignError, StoreVersionError
from casemate.store.sqlite.faults import STORE
from casemate.store.sqlite.files import StoreFolder
from casemate.store.sqlite.schema import MIGRATIONS, migrate
from casemate.store.sqlite.store import SqliteStore


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """Return the folder of a closed store with some content."""

    async def fill() -> None:
        store = SqliteStore.open(tmp_path / "s", key=KEY)
        for _ in range(50):
            await deploy(store)
        await store.close()

    asyncio.run(fill())
    return tmp_path / "s"


def refusal(folder: Path, kind: type[StoreError]) -> str:
    """Return the message with which opening is refused; the files must stay as they were."""
    before = contents(folder)
    with pytest.raises(kind) as caught:
        SqliteStore.open(folder, key=KEY)
    assert caught.value.next_step
    assert not caught.value.retryable
    after = contents(folder)
    after.pop("owner.pid", None)
    before.pop("owner.pid", None)
    assert after == before
    return str(caught.value)


@pytest.mark.parametrize("junk", [b"", b"x", b"\0" * 8192, b"%PDF-1.7 " * 1000])
def test_a_file_that_is_no_database_is_refused_untouched(closed: Path, junk: bytes) -> None:
    (closed / "records.db").write_bytes(junk)
    assert "no encrypted database" in refusal(closed, StoreForeignError)


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_another_programs_database_is_refused_untouched(tmp_path: Path, mode: str) -> None:
    folder = tmp_path / "s"
    folder.mkdir(mode=0o700)
    other = sqlite3.connect(folder / "records.db")
    other.execute(f"PRAGMA journal_mode = {mode}")
    other.execute("CREATE TABLE theirs (a)")
    other.commit()
    (folder / "records.db").chmod(0o600)
    kept = contents(folder)
    assert "another program's" in refusal(folder, StoreForeignError)
    assert {name: kept[name] for name in kept if name != "owner.pid"} == {
        name: data for name, data in contents(folder).items() if name != "owner.pid"
    }
    other.close()


def test_a_store_in_clear_is_refused_untouched(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir(mode=0o700)
    other = sqlite3.connect(folder / "records.db")
    migrate(other)
    other.close()
    (folder / "records.db").chmod(0o600)
    assert "no encrypted database" in refusal(folder, StoreForeignError)


def test_a_newer_schema_is_refused(closed: Path) -> None:
    other = opened(closed)
    other.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    other.close()
    message = refusal(closed, StoreVersionError)
    assert f"version {len(MIGRATIONS) + 1}" in message
    assert f"up to {len(MIGRATIONS)}" in message


def test_a_damaged_page_of_a_kept_table_is_found_at_every_start(closed: Path) -> None:
    (closed / "owner.pid").write_text("")
    other = opened(closed)
    (page,) = other.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'version'").fetchone()
    other.close()
    damage(closed / "records.db", page)
    assert "damaged" in refusal(closed, StoreCorruptError)


def test_a_damaged_page_elsewhere_is_found_after_an_unclean_end(closed: Path) -> None:
    other = opened(closed)
    (page,) = other.execute(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'invocation_id'"
    ).fetchone()
    other.close()
    damage(closed / "records.db", page)
    (closed / "owner.pid").write_text("1\n")
    assert "damaged" in refusal(closed, StoreCorruptError)


def test_a_truncated_database_is_refused(closed: Path) -> None:
    data = (closed / "records.db").read_bytes()
    (closed / "records.db").write_bytes(data[: len(data) // 2])
    with pytest.raises(StoreError):
        SqliteStore.open(closed, key=KEY)


def test_damage_met_while_serving_is_an_error_of_the_call_alone(closed: Path) -> None:
    async def run() -> None:
        store = SqliteStore.open(closed, key=KEY)
        with pytest.raises(StoreCorruptError) as caught:
            await store.old_rows("error", 0)
        assert "backup" in str(caught.value)
        assert len(((await store.read(ListFunctions())).functions)[0].versions) == 50
        await store.close()

    other = opened(closed)
    (page,) = other.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'error'").fetchone()
    other.close()
    damage(closed / "records.db", page)
    (closed / "owner.pid").write_text("")
    asyncio.run(run())


def test_a_log_without_its_database_is_not_replayed_into_a_new_one(closed: Path) -> None:
    (closed / "records.db").unlink()
    (closed / "records.db-wal").write_bytes(b"changes")
    assert "missing" in refusal(closed, StoreCorruptError)
    # Before: what the refusal at the start says to do was refused by this one.
    store = SqliteStore.open(closed, key=KEY, accept_loss=True)
    assert asyncio.run(deploy(store)) == 1
    asyncio.run(store.close())
    (aside,) = closed.glob("records.db-wal.lost-*")
    assert aside.read_bytes() == b"changes"
    store = SqliteStore.open(closed, key=KEY)
    assert asyncio.run(deploy(store)) == 2
    asyncio.run(store.close())


def test_an_interrupted_creation_is_begun_anew(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir(mode=0o700)
    (folder / "records.db.new").write_bytes(b"half")
    (folder / "records.db.new-journal").write_bytes(b"half")
    store = SqliteStore.open(folder, key=KEY)
    assert asyncio.run(deploy(store)) == 1
    asyncio.run(store.close())
    assert sorted(contents(folder)) == ["owner.pid", "records.db", "records.db-count"]


def test_a_refused_store_is_not_left_locked(closed: Path) -> None:
    good = (closed / "records.db").read_bytes()
    (closed / "records.db").write_bytes(b"junk")
    with pytest.raises(StoreForeignError):
        SqliteStore.open(closed, key=KEY)
    (closed / "records.db").write_bytes(good)
    asyncio.run(SqliteStore.open(closed, key=KEY).close())


def test_every_commit_is_synced_and_the_reader_cannot_write(closed: Path) -> None:
    async def run() -> None:
        store = SqliteStore.open(closed, key=KEY)
        asked = ("synchronous", "journal_mode", "foreign_keys", "trusted_schema")
        found = [
            await store._writer.submit(lambda c, n=name: c.execute(f"PRAGMA {n}").fetchone()[0])
            for name in asked
        ]
        assert found == [2, "wal", 1, 0]
        await store.close()

    asyncio.run(run())
    folder = StoreFolder.acquire(closed)
    reader = open_reader(folder.database, KEY, STORE, Room())
    with pytest.raises(engine.OperationalError, match="readonly"):
        reader.execute("DELETE FROM version")
    reader.close()
    folder.release(clean=True)


def test_a_database_that_cannot_use_wal_is_refused() -> None:
    connection = memory()
    with pytest.raises(StoreError, match="'memory'; expected 'wal'"):
        require_wal(connection, STORE)
    connection.close()


def damage(database: Path, page: int) -> None:
    """Overwrite one page (4096 bytes, numbered from 1)."""
    with database.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)
