"""The writer under a full disk, overload and failures."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_samples import KEY, Opening, deploy

from casemate.model.errors import UnavailableError
from casemate.operations.functions import ListFunctions
from casemate.operations.node import KeepNodeValue, ReadNodeValue
from casemate.sqlite import engine
from casemate.store import StoreError, StoreFullError
from casemate.store.sqlite.store import SqliteStore


async def set_page_limit(store: SqliteStore, spare: int | None) -> None:
    """Let the database grow by `spare` pages only; None lifts the bound."""

    def change(connection: engine.Connection) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        most = 2**30 if spare is None else pages + spare
        connection.execute(f"PRAGMA max_page_count = {most}").fetchone()

    await store._writer.submit(change)


def test_a_full_disk_fails_a_change_and_room_lets_it_succeed(tmp_path: Path) -> None:
    async def run() -> None:
        store = SqliteStore.open(tmp_path / "s", key=KEY)
        await set_page_limit(store, 4)  # room for some, not for many
        done = 0
        with pytest.raises(StoreFullError) as caught:
            while done < 5000:
                await deploy(store)
                done += 1
        assert isinstance(caught.value, UnavailableError)
        assert caught.value.retryable
        assert "Make room" in str(caught.value)
        (function,) = (await store.read(ListFunctions())).functions
        assert len(function.versions) == done
        await set_page_limit(store, None)
        assert await deploy(store) == done + 1
        await store.close()
        store = SqliteStore.open(tmp_path / "s", key=KEY)
        assert len(((await store.read(ListFunctions())).functions)[0].versions) == done + 1
        await store.close()

    asyncio.run(run())


def test_one_change_too_large_does_not_fail_those_beside_it(tmp_path: Path) -> None:
    async def run() -> None:
        store = SqliteStore.open(tmp_path / "s", key=KEY)
        await set_page_limit(store, 3)
        answers = await asyncio.gather(
            store.change(KeepNodeValue(name="large", value=b"n" * 100_000)),
            store.change(KeepNodeValue(name="small", value=b"n")),
            return_exceptions=True,
        )
        assert isinstance(answers[0], StoreFullError)
        assert answers[1] is None
        assert await store.read(ReadNodeValue(name="large")) is None
        assert await store.read(ReadNodeValue(name="small")) == b"n"
        await store.close()

    asyncio.run(run())


def test_a_dead_loop_is_no_trouble(opening: Opening) -> None:
    store = opening()

    async def leave() -> None:
        asyncio.create_task(deploy(store))  # noqa: RUF006
        await asyncio.sleep(0)

    async def run() -> None:
        await deploy(store)
        await store.close()

    asyncio.run(leave())
    asyncio.run(run())


def test_a_fault_not_foreseen_is_an_answer_and_the_writer_lives_on(opening: Opening) -> None:
    def broken(*_: object) -> int:
        raise RuntimeError("boom")

    async def run() -> None:
        store = opening()
        with pytest.raises(StoreError, match=r"not foreseen: RuntimeError: boom"):
            await store._writer.submit(broken)
        assert await deploy(store) == 1
        await store.close()

    asyncio.run(run())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a file system of 1 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(["mount", *options], check=False).returncode != 0:
        pytest.skip("needs the right to mount a tmpfs")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    async def run() -> None:
        store = SqliteStore.open(small_disk / "s", key=KEY)
        done = await deploy(store)
        ballast = small_disk / "ballast"
        with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(b"x" * 4096)
        with pytest.raises(StoreFullError):
            while done < 5000:
                done = await deploy(store)
        assert len(((await store.read(ListFunctions())).functions)[0].versions) == done
        ballast.unlink()
        assert await deploy(store) == done + 1
        await store.close()
        store = SqliteStore.open(small_disk / "s", key=KEY)
        assert len(((await store.read(ListFunctions())).functions)[0].versions) == done + 1
        await store.close()

    asyncio.run(run())
