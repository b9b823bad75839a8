"""What retention deletes is told in the journal: all of it, also over kills and full disks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from records_samples import KEY as RECORDS_KEY

from casemate.child.calls import refusal, reply
from casemate.model.facts import RecordsForgotten
from casemate.recorder import forgotten as module
from casemate.recorder import protocol
from casemate.recorder.errors import RecorderError
from casemate.recorder.forgotten import Telling
from casemate.recorder.protocol import Query, Take
from casemate.recorder.records import forgetting
from casemate.recorder.records.database import RecordsDatabase
from casemate.recorder.records.errors import RecordsError
from support import recorder_world as served
from support.monitor import running


class Kept:
    """Keeps what is told, or says why not."""

    def __init__(self) -> None:
        self.facts: list[RecordsForgotten] = []
        self.numbers: list[int] = []
        self.fails = self.is_full = False

    def take(self, told: Take, answer: Callable[[bytes], None]) -> bool:
        if self.is_full:
            return False
        if self.fails:
            answer(refusal(0, protocol.ERRORS.failure(RecorderError("no room"))))
            return True
        self.numbers += range(told.first, told.first + len(told.facts))
        self.facts += [
            msgspec.msgpack.decode(each.fact, type=RecordsForgotten) for each in told.facts
        ]
        answer(reply(0, 0))
        return True

    def sums(self) -> list[tuple[str, str, int, int]]:
        found = [(each.project, each.record, each.count, each.total) for each in self.facts]
        self.facts = []
        return found


async def forget(records: RecordsDatabase, number: int, project: str = "p") -> None:
    await records._writer.submit(
        lambda connection: forgetting.note(connection, "log_line", {project: number})
    )


def telling(records: RecordsDatabase, kept: Kept) -> Telling:
    server: Any = records
    return Telling(server, kept.take)


@running
async def test_each_is_told_once_and_what_came_since_the_next_time(tmp_path: Path) -> None:
    records, kept = RecordsDatabase.open(tmp_path, RECORDS_KEY), Kept()
    tells = telling(records, kept)
    await tells.tell()
    await forget(records, 3)
    await forget(records, 1, "q")
    await tells.tell()
    await tells.tell()
    assert kept.sums() == [("p", "log_line", 3, 3), ("q", "log_line", 1, 1)]
    await forget(records, 4)
    await tells.tell()
    assert kept.sums() == [("p", "log_line", 4, 7)]
    assert kept.numbers == [0, 1, 2], "each has a number of its own"
    records.close()


@running
@pytest.mark.parametrize("how", ["fails", "is_full"])
async def test_what_the_journal_does_not_take_is_told_later(tmp_path: Path, how: str) -> None:
    records, kept = RecordsDatabase.open(tmp_path, RECORDS_KEY), Kept()
    await forget(records, 3)
    setattr(kept, how, True)
    await telling(records, kept).tell()
    assert kept.sums() == []
    setattr(kept, how, False)
    await telling(records, kept).tell()
    assert kept.sums() == [("p", "log_line", 3, 3)]
    records.close()


@running
async def test_one_that_is_killed_in_between_says_the_same_again(tmp_path: Path) -> None:
    records, kept = RecordsDatabase.open(tmp_path, RECORDS_KEY), Kept()
    await forget(records, 3)
    lost = telling(records, kept)
    real, records.told = records.told, None  # type: ignore[method-assign,assignment]
    with pytest.raises(TypeError):
        await lost.tell()
    records.told = real  # type: ignore[method-assign]
    await forget(records, 2)
    await telling(records, kept).tell()
    assert kept.sums() == [("p", "log_line", 3, 3), ("p", "log_line", 5, 5)]
    records.close()


@running
async def test_more_than_fit_are_told_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    records, kept = RecordsDatabase.open(tmp_path, RECORDS_KEY), Kept()
    for project in "abc":
        await forget(records, 1, project)
    tells = telling(records, kept)
    await tells.tell()
    assert len(kept.facts) == 2
    await tells.tell()
    assert {each.project for each in kept.facts} == set("abc")
    records.close()


@running
async def test_records_that_cannot_be_read_end_no_recorder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(module, "TELL_SECONDS", 0.01)
    records, kept = RecordsDatabase.open(tmp_path, RECORDS_KEY), Kept()
    await forget(records, 3)
    untold, tries = records.untold, 0

    async def failing(limit: int) -> list[forgetting.Forgotten]:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise RecordsError("a bad block")
        return await untold(limit)

    monkeypatch.setattr(records, "untold", failing)
    running_on = asyncio.ensure_future(telling(records, kept).run())
    while not kept.facts:
        await asyncio.sleep(0.01)
    assert kept.sums() == [("p", "log_line", 3, 3)] and tries == 3
    running_on.cancel()
    records.close()


@running
async def test_a_recorder_tells_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_SECONDS", 0.01)
    monkeypatch.setattr(module, "TELL_SECONDS", 0.01)
    (tmp_path / "records").mkdir()
    records = RecordsDatabase.open(tmp_path / "records", RECORDS_KEY)
    monkeypatch.setattr(served, "Records", lambda: records)
    close = records.close

    async def ended() -> None:
        close()

    monkeypatch.setattr(records, "close", ended)
    await forget(records, 3)
    (tmp_path / "journal").mkdir()
    world = await served.World(tmp_path / "journal").begin()
    search = world.recorder._search
    while not (found := await search.find(Query(contains=('"RecordsForgotten"',)))).entries:
        await asyncio.sleep(0.01)
    assert len(found.entries) == 1
    await world.close()
