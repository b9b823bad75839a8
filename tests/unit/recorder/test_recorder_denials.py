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
from casemate.operations.records import ListDenials
from casemate.recorder.records import database as module
from casemate.recorder.records.database import RecordsDatabase
from casemate.recorder.records.denials import MAX_REASON, denials, insert_denials
from casemate.recorder.records.options import RecordsOptions


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
    (found,) = denials(connection, ListDenials(limit=5)).rows
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
