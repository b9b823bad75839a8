"""Store and vault remember how long the journal was: an older one is told, and an older store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from casemate.gateway import looking, seen_journal
from casemate.gateway.seen_journal import SeenJournal
from casemate.journal.errors import JournalDamagedError
from casemate.model.facts import Fact, JournalOlder
from casemate.recorder.errors import RecorderError
from casemate.recorder.protocol import Head
from casemate.store.errors import StoreError, StoreGoneError
from casemate.store.sqlite.store import SqliteStore

KEY = bytes(range(32))


class Node:
    """A store, and a vault and a recorder that say what they are told to."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.signed = self.size = self.in_vault = 0
        self.key, self.unsigned, self.restored, self.gone = "k", "", False, False
        self.told: list[Fact] = []
        self.kept: list[int] = []

    async def ready(self) -> None:
        await self.head()

    async def head(self) -> Head:
        if self.gone:
            raise RecorderError("The recorder is gone.")
        note = f"casemate/x\n{self.signed}\nroot\n\nsignature" if self.signed else ""
        return Head(note, self.key, max(self.size, self.signed), self.restored, self.unsigned)

    async def journal_entries(self) -> int:
        return self.in_vault

    async def keep_journal_entries(self, entries: int, *, lost: bool = False) -> None:
        assert lost or entries >= self.in_vault
        self.in_vault = entries
        self.kept.append(entries)

    def seen(self, store: Any = ()) -> SeenJournal:
        among: Any = self
        return SeenJournal(among, among, self.store if store == () else store, self.told.append)

    async def start(self, signed: int, *losses: str) -> SeenJournal:
        self.signed = signed
        seen = self.seen()
        await seen.begin(losses)
        return seen


def play(folder: Path, scene: Callable[[Node], Awaitable[None]]) -> None:
    async def run() -> None:
        store = SqliteStore.open(folder / "s", key=KEY)
        try:
            await scene(Node(store))
        finally:
            await store.close()

    asyncio.run(run())


def test_a_journal_with_fewer_entries_than_it_had_is_refused_until_that_is_accepted(
    tmp_path: Path,
) -> None:
    async def scene(node: Node) -> None:
        await node.start(40)
        await node.start(41)
        with pytest.raises(JournalDamagedError, match=r"has 40 signed entries, .* had 41") as told:
            await node.start(40)
        assert "--accept-loss journal" in str(told.value.next_step)
        with pytest.raises(JournalDamagedError):
            await node.start(0, "store", "vault")
        assert node.told == []
        await node.start(12, "journal")
        (fact,) = node.told
        assert isinstance(fact, JournalOlder)
        assert (fact.entries, fact.had) == (12, 41)
        await node.start(12)
        assert len(node.told) == 1

    play(tmp_path, scene)


def test_the_vault_tells_of_a_journal_and_store_that_are_older_together(tmp_path: Path) -> None:
    async def scene(node: Node) -> None:
        await node.start(12)
        node.in_vault = 41  # of a store that was put back with the journal
        with pytest.raises(JournalDamagedError, match="had 41"):
            await node.start(12)
        with pytest.raises(StoreGoneError, match=r"knows of 12 .* vault of 41") as told:
            await node.start(50)
        assert "--accept-loss store" in str(told.value.next_step)
        with pytest.raises(StoreGoneError):
            await node.start(12, "journal")
        await node.start(50, "store")
        assert node.told == []
        await node.start(50)

    play(tmp_path, scene)


def test_a_backup_whose_parts_were_copied_one_after_the_other_is_no_older_copy(
    tmp_path: Path,
) -> None:
    async def scene(node: Node) -> None:
        await node.start(12)
        node.in_vault, node.restored = 41, True
        await node.start(40)
        node.restored = False
        await node.start(41)
        assert node.told == []
        with pytest.raises(JournalDamagedError):
            await node.start(40)

    play(tmp_path, scene)


def test_another_journal_is_compared_with_nothing_that_the_store_has_of_this_one(
    tmp_path: Path,
) -> None:
    async def scene(node: Node) -> None:
        await node.start(41)
        node.key, node.in_vault = "that of another node", 0
        await node.start(3)

    play(tmp_path, scene)


def test_how_it_grows_is_remembered_and_by_the_vault_after_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "LOOK_SECONDS", 0.01)

    async def scene(node: Node) -> None:
        seen = await node.start(3)
        node.signed = 7
        while seen._kept.entries != 7:
            await asyncio.sleep(0.005)
        assert node.in_vault == 3, "which is told now and then"
        monkeypatch.setattr(seen_journal, "_VAULT_SECONDS", 0.0)
        node.signed = 8
        while node.in_vault != 8:
            await asyncio.sleep(0.005)
        monkeypatch.setattr(seen_journal, "_VAULT_SECONDS", 300.0)
        node.signed = 9
        await seen.close()
        assert node.in_vault == 9
        node.in_vault = 0  # a release before, that does not know of it
        with pytest.raises(JournalDamagedError, match="had 9"):
            await node.start(8)

    play(tmp_path, scene)


def test_what_the_store_does_not_keep_the_vault_is_not_told(tmp_path: Path) -> None:
    async def scene(node: Node) -> None:
        seen = await node.start(3)

        async def failing(_operation: Any) -> Any:
            raise StoreError("The disk is full.")

        change, node.store.change = node.store.change, failing  # type: ignore[method-assign]
        node.signed = 9
        await seen.close()
        node.store.change = change  # type: ignore[method-assign]
        assert node.in_vault == 3
        await node.start(9)

    play(tmp_path, scene)


def test_health_says_that_entries_wait_to_be_signed_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(node: Node) -> None:
        seen = await node.start(3)
        node.size, node.unsigned = 8, "No checkpoint can be written: No space left on device."
        await seen._look()
        assert seen.problem() == ""
        monkeypatch.setattr(seen_journal, "_LATE_SECONDS", 0.0)
        assert "5 entries of the journal wait to be signed: No checkpoint" in seen.problem()
        node.signed = 8
        await seen._look()
        assert seen.problem() == ""
        node.gone = True
        await seen.close()

    play(tmp_path, scene)


def test_nodes_that_share_a_store_remember_nothing_in_it(tmp_path: Path) -> None:
    async def scene(node: Node) -> None:
        node.in_vault, node.signed = 41, 3
        seen = node.seen(None)
        await seen.begin(())
        await seen.close()
        assert node.in_vault == 41 and node.kept == []

    play(tmp_path, scene)
