"""A store of the release that did not encrypt becomes one that does, wholly or not at all."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

import msgspec
import pytest
from store_samples import KEY, contents, deploy, digest, invocation, line, spec

from casemate.model.principal import INVOKER, OWNER, RoleBinding
from casemate.sqlite import engine
from casemate.store import StoreCorruptError, StoreError, StoreForeignError, StoreVersionError
from casemate.store.sqlite import SqliteStore, conversion
from casemate.store.sqlite.schema import APPLICATION_ID, MIGRATIONS

PLANTED = "planted-in-clear-4711"


def plain_store(folder: Path, *, keep_log: bool = False) -> Path:
    """Make a store as release 0.1 did: no encryption, keys instead of tokens."""
    folder.mkdir(mode=0o700)
    database = sqlite3.connect(folder / "records.db", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    for statement in MIGRATIONS[0]:
        database.execute(statement)
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute("PRAGMA user_version = 1")
    database.executemany(
        "INSERT INTO api_key (id, name, role, sha256, created_at, revoked_at) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        [
            ("k1", "first", "admin", digest("e"), 1.0, None),
            ("k2", "shop", "invoke", digest("f"), 2.0, None),
            ("k3", "old", "admin", digest("0"), 3.0, 4.0),
            ("k4", "odd", "unknown", digest("1"), 5.0, None),
        ],
    )
    database.execute("INSERT INTO function_counter VALUES ('demo', 'thumbs', 1)")
    database.execute(
        "INSERT INTO version VALUES ('demo', 'thumbs', 1, ?, ?, 1.0, 'k1')",
        (digest("a"), msgspec.json.encode(spec()).decode()),
    )
    database.executemany(
        "INSERT INTO log_line (stored_at, invocation, project, function, version, at, level, text) "
        "VALUES (9e9, 'i1', 'demo', 'thumbs', 1, 1.0, 'info', ?)",
        [(f"{PLANTED} {n}",) for n in range(2000)],
    )
    if keep_log:
        for name in ("records.db", "records.db-wal"):
            shutil.copy(folder / name, folder / f"{name}.kept")
        database.close()
        for name in ("records.db", "records.db-wal"):
            (folder / f"{name}.kept").replace(folder / name)
    else:
        database.close()
    return folder


@pytest.mark.parametrize("keep_log", [False, True])
def test_everything_is_kept_and_nothing_stays_in_clear(tmp_path: Path, keep_log: bool) -> None:
    folder = plain_store(tmp_path / "s", keep_log=keep_log)
    assert any(PLANTED.encode() in data for data in contents(folder).values())

    async def run() -> None:
        store = SqliteStore.open(folder, key=KEY)
        assert len(await store.logs(limit=5000)) == 2000
        assert (await store.functions())[0].versions[0].spec == spec()
        store.record(invocation(), None, [line()])
        await store.flush()
        # Numbers go on where they were: AUTOINCREMENT's own table was taken along.
        assert (await store.logs())[-1].sequence == 2001
        await store.close()

    asyncio.run(run())
    assert sorted(contents(folder)) == ["owner.pid", "records.db", "records.db-count"]
    assert PLANTED.encode() not in (folder / "records.db").read_bytes()
    assert (folder / "records.db").stat().st_mode & 0o777 == 0o600
    asyncio.run(SqliteStore.open(folder, key=KEY).close())


def test_keys_go_on_as_tokens(tmp_path: Path) -> None:
    async def run() -> None:
        store = SqliteStore.open(plain_store(tmp_path / "s"), key=KEY)
        first, shop, old, odd = await store.tokens()
        assert (first.id, first.name, first.sha256) == ("k1", "first", digest("e"))
        assert first.bindings == (RoleBinding(role=OWNER),)
        assert shop.bindings == (RoleBinding(role=INVOKER),)
        assert old.revoked_at == 4.0
        assert odd.bindings == ()
        assert {t.user for t in (first, shop, old, odd)} == {None}
        await store.close()

    asyncio.run(run())


def test_a_foreign_newer_or_damaged_one_stays_as_it_is(tmp_path: Path) -> None:
    for kind, change in (
        (StoreForeignError, "PRAGMA application_id = 7"),
        (StoreVersionError, f"PRAGMA user_version = {len(MIGRATIONS) + 1}"),
        (StoreCorruptError, None),
    ):
        folder = plain_store(tmp_path / kind.__name__)
        if change is not None:
            database = sqlite3.connect(folder / "records.db")
            database.execute(change)
            database.close()
        else:
            data = bytearray((folder / "records.db").read_bytes())
            data[20 * 4096 : 21 * 4096] = b"\xa5" * 4096
            (folder / "records.db").write_bytes(data)
        before = contents(folder)["records.db"]
        with pytest.raises(kind):
            SqliteStore.open(folder, key=KEY)
        assert contents(folder)["records.db"] == before
        assert "records.db.new" not in contents(folder)


def test_an_incomplete_copy_does_not_take_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = plain_store(tmp_path / "s")
    monkeypatch.setattr(conversion, "_counts", lambda _, schema: {schema: 1})
    with pytest.raises(StoreCorruptError, match="not complete"):
        SqliteStore.open(folder, key=KEY)
    monkeypatch.undo()
    assert "records.db.new" not in contents(folder)
    asyncio.run(SqliteStore.open(folder, key=KEY).close())


def test_a_full_disk_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = plain_store(tmp_path / "s")

    def full(*_: object) -> None:
        error = engine.OperationalError("database or disk is full")
        error.sqlite_errorcode = engine.FULL
        raise error

    monkeypatch.setattr(conversion, "_export", full)
    with pytest.raises(StoreError, match="full"):
        SqliteStore.open(folder, key=KEY)
    monkeypatch.undo()

    async def run() -> None:
        store = SqliteStore.open(folder, key=KEY)
        assert len(await store.logs(limit=5000)) == 2000
        assert await deploy(store) == 2
        await store.close()

    asyncio.run(run())
