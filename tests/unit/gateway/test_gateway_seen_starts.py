"""What the store remembers of projects and of the vault tells older copies, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from casemate.gateway import looking, seen_starts
from casemate.gateway.seen_starts import ProjectStarts, SeenCount, seen_records, seen_vault
from casemate.recorder.records.errors import RecordsCorruptError
from casemate.store.errors import StoreError
from casemate.store.sqlite.store import SqliteStore
from casemate.vault.errors import VaultDamagedError

KEY = bytes(range(32))


def play(folder: Path, scene: Callable[[SqliteStore], Awaitable[None]]) -> None:
    async def run() -> None:
        store = SqliteStore.open(folder / "s", key=KEY)
        try:
            await scene(store)
        finally:
            await store.close()

    asyncio.run(run())


async def loaded(store: SqliteStore, current: int) -> ProjectStarts:
    starts = ProjectStarts(store, current)
    await starts.load()
    return starts


def test_starts_are_remembered(tmp_path: Path) -> None:
    async def scene(store: SqliteStore) -> None:
        names = [f"p{number}" for number in range(100)]
        first = await loaded(store, 1)
        assert not any(map(first.seen, names))
        for name in names:
            first.note(name, 1)
        await first.close()
        second = await loaded(store, 2)
        assert {second.seen(name) for name in names} == {1}
        second.note("p7", 2)
        await asyncio.sleep(0)
        assert (second.seen("p7"), second.seen("p8")) == (2, 1)
        await second.close()
        third = await loaded(store, 3)
        third.forget_others(["p7"])
        await third.close()
        last = await loaded(store, 4)
        assert (last.seen("p7"), last.seen("p8")) == (2, 0)

    play(tmp_path, scene)


def test_what_is_noted_at_once_is_written_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen_starts, "_PAUSE", 0.01)

    async def scene(store: SqliteStore) -> None:
        starts = await loaded(store, 1)
        changes = 0
        change = store.change

        async def counting(operation: Any) -> Any:
            nonlocal changes
            changes += 1
            return await change(operation)

        store.change = counting  # type: ignore[method-assign]
        for number in range(1000):
            starts.note(f"p{number}", 1)
        while (await loaded(store, 2)).seen("p999") != 1 or changes < 16:
            await asyncio.sleep(0.01)
        for number in range(1000):
            starts.note(f"p{number}", 1)
        await asyncio.sleep(0.05)
        assert changes == 16
        await starts.close()

    play(tmp_path, scene)


def test_a_store_that_cannot_be_written_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(store: SqliteStore) -> None:
        starts = await loaded(store, 1)
        starts.note("p", 1)

        async def failing(_operation: Any) -> Any:
            raise StoreError("The disk is full.")

        change, store.change = store.change, failing  # type: ignore[method-assign]
        await starts.close()
        store.change = change  # type: ignore[method-assign]
        assert "would not be told" in caplog.text

    play(tmp_path, scene)


class Vault:
    """How often it was written."""

    def __init__(self, generation: int) -> None:
        self.generation = generation

    async def status(self) -> Any:
        return SimpleNamespace(generation=self.generation)


def test_a_vault_that_was_written_less_often_than_it_was_is_refused(tmp_path: Path) -> None:
    async def scene(store: SqliteStore) -> None:
        async def begin(generation: int, *, accept_loss: bool = False) -> SeenCount:
            seen = seen_vault(store, Vault(generation))  # type: ignore[arg-type]
            await seen.begin(accept_loss=accept_loss)
            return seen

        await begin(3)
        with pytest.raises(VaultDamagedError, match=r"written 2 times, .* one of 3") as told:
            await begin(2)
        assert "--accept-loss vault" in str(told.value.next_step)
        await begin(3)
        await begin(9)
        with pytest.raises(VaultDamagedError):
            await begin(8)
        await begin(8, accept_loss=True)
        await begin(8)
        with pytest.raises(VaultDamagedError):
            await begin(7)

    play(tmp_path, scene)


def test_what_the_vault_writes_while_the_node_runs_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "LOOK_SECONDS", 0.01)

    async def scene(store: SqliteStore) -> None:
        vault = Vault(3)
        seen = seen_vault(store, vault)  # type: ignore[arg-type]
        await seen.begin(accept_loss=False)
        seen.follow()
        vault.generation = 5
        while seen._seen != 5:
            await asyncio.sleep(0.005)
        monkeypatch.setattr(looking, "LOOK_SECONDS", 60.0)
        await asyncio.sleep(0.03)
        vault.generation = 6
        await seen.close()
        with pytest.raises(VaultDamagedError, match="one of 6"):
            await seen_vault(store, Vault(5)).begin(accept_loss=False)  # type: ignore[arg-type]

    play(tmp_path, scene)


class Records:
    """How many were kept."""

    def __init__(self, kept: int) -> None:
        self.kept = kept

    async def count(self) -> int:
        return self.kept


def test_records_of_which_fewer_were_kept_than_there_were_are_refused(tmp_path: Path) -> None:
    """Before: nothing told of older records, whatever the journal and the store knew."""

    async def scene(store: SqliteStore) -> None:
        async def begin(kept: int, *, accept_loss: bool = False) -> SeenCount:
            seen = seen_records(store, Records(kept))  # type: ignore[arg-type]
            await seen.begin(accept_loss=accept_loss)
            return seen

        await begin(40)
        with pytest.raises(RecordsCorruptError, match=r"39 were kept .* had 40") as told:
            await begin(39)
        assert "--accept-loss records" in str(told.value.next_step)
        await begin(39, accept_loss=True)
        await begin(39)

    play(tmp_path, scene)


def test_moments_of_a_start_come_after_all_of_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(store: SqliteStore) -> None:
        first, second = await loaded(store, 3), await loaded(store, 4)
        assert 4 < first.now() < second.now(), "and what a release before wrote comes first"
        begun = first.now()
        monkeypatch.setattr(seen_starts, "MOMENT_SECONDS", 1e-9)
        assert begun < first.now() < second.now()

    play(tmp_path, scene)
