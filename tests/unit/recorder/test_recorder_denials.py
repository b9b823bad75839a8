"""Denied attempts: kept like records, bounded more tightly."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records_samples import KEY, Filled, database, denial, every

from casemate.model.denial import DenialKind
from casemate.model.errors import InvalidInputError
from casemate.operations.records import Denials, ListDenials
from casemate.recorder.records import database as module
from casemate.recorder.records.database import RecordsDatabase
from casemate.recorder.records.denials import (
    MAX_REASON,
    ListedDenial,
    denials,
    insert_denials,
)
from casemate.recorder.records.options import RecordsOptions
from casemate.recorder.records.questions import QUESTIONS


def test_the_newest_come_first_and_filters_hold_together(tmp_path: Path) -> None:
    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        await Filled(records).tell(
            *(
                denial(
                    reason=str(number),
                    project="p" if number % 2 else "q",
                    function="f",
                    invocation=f"i{number // 5}",
                )
                for number in range(10)
            )
        )
        assert [d.reason for d in await every(records, ListDenials(limit=3))] == ["9", "8", "7"]
        found = await every(records, ListDenials(project="p", function="f", invocation="i0"))
        assert [d.reason for d in found] == ["3", "1"]
        assert await every(records, ListDenials(project="none")) == []
        with pytest.raises(InvalidInputError):
            await every(records, ListDenials(limit=-1))
        records.close()
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        assert len(await every(records, ListDenials())) == 10
        records.close()

    asyncio.run(run())


async def _answer(records: RecordsDatabase, wanted: ListDenials) -> Denials:
    """Return what the gateway makes of the pages."""
    rows: list[ListedDenial] = []
    at: int | None = None
    while True:
        left = msgspec.structs.replace(wanted, limit=wanted.limit - len(rows))
        page = await records.page(left, at)
        rows += page.rows
        at = page.at
        if at is None or len(rows) >= wanted.limit:
            answer: Denials = QUESTIONS[ListDenials].answer(wanted, rows)
            return answer


def test_an_older_one_is_reached_behind_a_flood(tmp_path: Path) -> None:
    """After 1,400 newer ones it was in the journal alone: there was no way to go on."""

    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        theirs = denial(by="token:old", remote_address="192.0.2.7", at=500.0, reason="theirs")
        filled = Filled(records)
        await filled.tell(theirs)
        # Many alike are recorded late: the order of time is not that of the list.
        flood = [denial(by="token:flood", at=1000.0 + n % 7, reason=str(n)) for n in range(1400)]
        await filled.tell(*flood)
        for wanted in (
            ListDenials(caller="token:old"),
            ListDenials(address="192.0.2.7"),
            ListDenials(until=1000.0),
            ListDenials(caller="token:old", project="demo", since=500.0, until=501.0),
        ):
            found = await _answer(records, wanted)
            assert (found.denials, found.before) == ((theirs,), None)
        assert await every(records, ListDenials(since=1007.0)) == []
        seen: list[str] = []
        before: int | None = None
        for _ in range(6):
            found = await _answer(records, ListDenials(limit=300, before=before))
            seen += [one.reason for one in found.denials]
            before = found.before
            if before is None:
                break
        assert len(seen) == len(set(seen)) == 1401 and seen[-1] == "theirs"
        records.close()

    asyncio.run(run())


def test_old_ones_go_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PRUNE_SECONDS", 0.05)

    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY, RecordsOptions(retention=0.01))
        await Filled(records).tell(denial())
        end = time.monotonic() + 10
        while await every(records, ListDenials()) and time.monotonic() < end:
            await asyncio.sleep(0.02)
        assert await every(records, ListDenials()) == []
        records.close()

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
    connection = database()
    given = denial(kind=kind, reason=text * 10**size, by=text, remote_address=text, count=count)
    assert insert_denials(connection, [given], 5.0) == 0
    (row,) = denials(connection, ListDenials(limit=5)).rows
    found = row.denial
    assert found.kind is kind
    assert found.count == count
    assert found.reason.encode("utf-8") is not None  # no lone surrogate is left
    assert len(found.reason) <= 6 * MAX_REASON + 40
    if text.isascii() and len(given.reason) <= MAX_REASON:
        assert found == given
    connection.close()


def test_what_cannot_be_stored_is_counted_and_fails_no_other() -> None:
    connection = database()
    wrong = msgspec.structs.replace(denial(), version=2**70)
    assert insert_denials(connection, [denial(), wrong, denial()], 5.0) == 1
    found = denials(connection, ListDenials(limit=5)).rows
    assert len(found) == 2
    connection.close()
