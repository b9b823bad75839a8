"""Denied attempts: kept like records, bounded more tightly."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_samples import KEY, denial, invocation, memory

from casemate.model.denial import DenialKind
from casemate.model.errors import InvalidInputError
from casemate.operations.records import ListDenials, ShowInvocation
from casemate.store.sqlite import SqliteOptions, SqliteStore
from casemate.store.sqlite.denials import MAX_REASON, denials, insert_denials
from casemate.store.sqlite.schema import migrate


def test_the_newest_come_first_and_filters_hold_together(tmp_path: Path) -> None:
    async def run() -> None:
        store = SqliteStore.open(tmp_path / "s", key=KEY)
        for number in range(10):
            store.deny(
                denial(
                    reason=str(number),
                    project="p" if number % 2 else "q",
                    function="f",
                    invocation=f"i{number // 5}",
                )
            )
        await store.flush()
        assert [d.reason for d in (await store.read(ListDenials(limit=3))).denials] == [
            "9",
            "8",
            "7",
        ]
        found = (await store.read(ListDenials(project="p", function="f", invocation="i0"))).denials
        assert [d.reason for d in found] == ["3", "1"]
        assert (await store.read(ListDenials(project="none"))).denials == ()
        with pytest.raises(InvalidInputError):
            (await store.read(ListDenials(limit=-1))).denials
        await store.close()
        store.deny(denial())
        assert store.lost_records == 1
        store = SqliteStore.open(tmp_path / "s", key=KEY)
        assert len((await store.read(ListDenials())).denials) == 10
        await store.close()

    asyncio.run(run())


def test_a_flood_of_denials_leaves_room_for_records(tmp_path: Path) -> None:
    async def run() -> None:
        options = SqliteOptions(max_queued_denials=50, flush_interval=5.0)
        store = SqliteStore.open(tmp_path / "s", options, key=KEY)
        for _ in range(500):
            store.deny(denial())
        assert store.lost_records == 450
        store.record(invocation())
        await store.flush()
        assert store.lost_records == 450
        assert (await store.read(ShowInvocation(id="i1"))).id == "i1"
        for _ in range(50):
            store.deny(denial())
        await store.flush()
        assert len((await store.read(ListDenials(limit=1000))).denials) == 100
        await store.close()

    asyncio.run(run())


def test_old_ones_go_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("casemate.store.sqlite.store.PRUNE_SECONDS", 0.05)

    async def run() -> None:
        store = SqliteStore.open(tmp_path / "s", SqliteOptions(retention=0.01), key=KEY)
        store.deny(denial())
        await store.flush()
        end = time.monotonic() + 10
        while (await store.read(ListDenials())).denials and time.monotonic() < end:
            await asyncio.sleep(0.02)
        assert (await store.read(ListDenials())).denials == ()
        await store.close()

    asyncio.run(run())


@settings(max_examples=50, deadline=None)
@given(
    text=st.text(alphabet=st.characters(), max_size=40),
    size=st.integers(0, 3),
    kind=st.sampled_from(DenialKind),
    count=st.integers(1, 2**62),
)
def test_any_text_is_kept_bounded_and_readable(
    text: str, size: int, kind: DenialKind, count: int
) -> None:
    connection = memory()
    migrate(connection)
    given = denial(kind=kind, reason=text * 10**size, by=text, remote_address=text, count=count)
    assert insert_denials(connection, [given], 5.0) == 0
    (found,) = denials(connection, ListDenials(limit=5)).denials
    assert found.kind is kind
    assert found.count == count
    assert found.reason.encode("utf-8") is not None  # no lone surrogate is left
    assert len(found.reason) <= 6 * MAX_REASON + 40
    if text.isascii() and len(given.reason) <= MAX_REASON:
        assert found == given
    connection.close()


def test_what_cannot_be_stored_is_counted_and_fails_no_other() -> None:
    connection = memory()
    migrate(connection)
    wrong = msgspec.structs.replace(denial(), version=2**70)
    assert insert_denials(connection, [denial(), wrong, denial()], 5.0) == 1
    found = denials(connection, ListDenials(limit=5)).denials
    assert len(found) == 2
    connection.close()
