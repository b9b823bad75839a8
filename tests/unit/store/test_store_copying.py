"""Copies of a database in use, and another key for one."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from store_samples import KEY, OTHER_KEY, deploy, keep_values, opened
from test_store_writer import small_disk  # noqa: F401 - a fixture

from casemate.model.errors import ConflictError
from casemate.operations.node import ReadNodeValue
from casemate.sqlite import engine
from casemate.store import StoreClosedError, StoreError, StoreKeyError
from casemate.store.sqlite import store as adapter
from casemate.store.sqlite.store import SqliteStore


async def filled(folder: Path, values: int = 3000) -> SqliteStore:
    store = SqliteStore.open(folder, key=KEY)
    await keep_values(store, values, 600)
    return store


async def reopen(folder: Path, key: bytes) -> list[str]:
    """Open the folder, look for damage, return the names of its values, in the order of numbers."""
    store = SqliteStore.open(folder, key=key)
    await store.close()
    connection = opened(folder, key)
    names = [name for (name,) in connection.execute("SELECT name FROM node_value")]
    found = sorted(names, key=lambda name: int(name[1:]))
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    return found


def test_a_snapshot_is_one_state_while_writes_go_on(tmp_path: Path) -> None:
    async def run() -> None:
        store = await filled(tmp_path / "s")
        (tmp_path / "copy").mkdir()
        copying = asyncio.create_task(store.snapshot(tmp_path / "copy" / "records.db"))
        written = 0
        while not copying.done():
            written = await deploy(store)
        await copying
        assert written > 0
        await store.close()
        assert await reopen(tmp_path / "copy", KEY) == [f"i{n}" for n in range(3000)]

    asyncio.run(run())


def test_a_snapshot_has_the_mode_0600_and_replaces_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        store = await filled(tmp_path / "s", 1)
        await store.snapshot(tmp_path / "copy.db")
        assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
        with pytest.raises(ConflictError, match="is there already"):
            await store.snapshot(tmp_path / "copy.db")
        with pytest.raises(StoreError, match="cannot be copied"):
            await store.snapshot(tmp_path / "missing" / "copy.db")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["copy.db", "s"]
        await store.close()

    asyncio.run(run())


def test_closing_ends_a_snapshot_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = adapter.copy_database
    monkeypatch.setattr(
        adapter,
        "copy_database",
        lambda source, target, key, _: copy(source, target, key, lambda: True),
    )

    async def run() -> None:
        store = await filled(tmp_path / "s")
        with pytest.raises(StoreClosedError):
            await store.snapshot(tmp_path / "copy.db")
        await store.close()
        with pytest.raises(StoreClosedError):
            await store.snapshot(tmp_path / "copy.db")
        assert [p.name for p in tmp_path.iterdir()] == ["s"]

    asyncio.run(run())


def test_after_a_new_key_the_old_one_opens_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        store = await filled(tmp_path / "s")
        before = (tmp_path / "s" / "records.db").read_bytes()
        calls = [deploy(store) for _ in range(20)] + [
            store.read(ReadNodeValue(name="i1")) for _ in range(20)
        ]
        await asyncio.gather(store.rekey(OTHER_KEY), *calls)
        assert await store.read(ReadNodeValue(name="i2999")) == b"x" * 600
        assert await deploy(store) == 21
        await store.close()
        with pytest.raises(StoreKeyError):
            SqliteStore.open(tmp_path / "s", key=KEY)
        assert len(await reopen(tmp_path / "s", OTHER_KEY)) == 3000
        # Not one page is left as it was.
        after = (tmp_path / "s" / "records.db").read_bytes()
        pages = range(0, min(len(before), len(after)), engine.PAGE_BYTES)
        size = engine.PAGE_BYTES
        assert not any(before[at : at + size] == after[at : at + size] for at in pages)

    asyncio.run(run())


def test_a_crash_before_the_log_is_written_back_has_the_new_key(tmp_path: Path) -> None:
    async def run() -> None:
        await (await filled(tmp_path / "s")).close()
        connection = opened(tmp_path / "s")
        engine.rekey(connection, OTHER_KEY)
        (tmp_path / "copy").mkdir(mode=0o700)
        for name in ("records.db", "records.db-wal"):
            (tmp_path / "copy" / name).write_bytes((tmp_path / "s" / name).read_bytes())
        connection.close()
        with pytest.raises(StoreKeyError):
            SqliteStore.open(tmp_path / "copy", key=KEY)
        assert len(await reopen(tmp_path / "copy", OTHER_KEY)) == 3000

    asyncio.run(run())


def test_a_full_disk_keeps_the_old_key_and_the_store_goes_on(
    small_disk: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    async def run() -> None:
        await (await filled(tmp_path / "s", 900)).close()
        shutil.copytree(tmp_path / "s", small_disk / "s")
        size = (small_disk / "s" / "records.db").stat().st_size
        assert 512 * 1024 < size < 900 * 1024
        store = SqliteStore.open(small_disk / "s", key=KEY)
        with pytest.raises(StoreError):
            await store.rekey(OTHER_KEY)
        assert await store.read(ReadNodeValue(name="i899")) == b"x" * 600
        assert await deploy(store) == 1
        with pytest.raises(StoreError):
            await store.snapshot(small_disk / "copy.db")
        assert [p.name for p in small_disk.iterdir()] == ["s"]
        await store.close()
        assert len(await reopen(small_disk / "s", KEY)) == 900

    asyncio.run(run())
