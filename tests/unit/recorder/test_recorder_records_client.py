"""The gateway's end of the records: told under numbers, bounded, asked in pages."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from records_samples import KEY, database, denial, failure, invocation, line

from casemate.model.errors import CasemateError, ConflictError, NotFoundError
from casemate.model.function import Logs
from casemate.model.tracing import Span
from casemate.operations.functions import ListFunctions
from casemate.operations.records import (
    ListDenials,
    ListErrors,
    ListInvocations,
    ReadLogs,
    ShowError,
    ShowInvocation,
)
from casemate.recorder import client as telling
from casemate.recorder import protocol
from casemate.recorder.errors import NotRecordedError
from casemate.recorder.protocol import Take, Told
from casemate.recorder.records import client as module
from casemate.recorder.records import questions, rows
from casemate.recorder.records.client import RecordsClient
from casemate.recorder.records.database import RecordsDatabase


class Recorder:
    """Stands for the client of the process: keeps at once, and answers by a database."""

    def __init__(self, records: RecordsDatabase) -> None:
        self.records = records
        self.lost = 0
        self.told: list[Told] = []
        self.pages = 0
        self._number = 0

    def record(self, kind: str, body: bytes, *, share: float = 1.0, held: str = "") -> None:
        assert 0 < share <= 1
        self.told.append(Told(kind, body))

    async def durable(self) -> None:
        told, self.told = self.told, []
        take = Take(1, bytes(8), self._number, tuple(told))
        self._number += len(told)
        # As it travels, within the bounds of the protocol.
        decoded = protocol.decode_request(msgspec.msgpack.encode(take))
        assert isinstance(decoded, Take)
        self.lost += await self.records.keep([decoded])

    async def ask(self, kind: Any, make: Any, **_rest: Any) -> Any:
        request = protocol.decode_request(msgspec.msgpack.encode(make(1)))
        assert isinstance(request, protocol.Ask)
        self.pages += 1
        page = await self.records.page(questions.decode(request.kind, request.question), request.at)
        answer = protocol.PageOfRecords(msgspec.Raw(msgspec.msgpack.encode(page.rows)), page.at)
        return msgspec.msgpack.decode(msgspec.msgpack.encode(answer), type=kind)


@pytest.fixture
def recorder(tmp_path: Path) -> Any:
    records = RecordsDatabase.open(tmp_path / "r", KEY)
    yield Recorder(records)
    records.close()


def test_all_that_is_recorded_is_answered(recorder: Recorder) -> None:
    async def run() -> None:
        records = RecordsClient(recorder)  # type: ignore[arg-type]
        records.record(invocation(error_id="e1"), failure(), [line("one"), line("two")])
        records.write([line("while it runs")])
        records.deny(denial())
        await records.flush()
        assert await records.read(ShowInvocation(id="i1")) == invocation(error_id="e1")
        assert await records.read(ShowError(id="e1")) == failure()
        found = (await records.read(ListInvocations())).invocations
        assert found == (invocation(error_id="e1"),)
        assert [e.id for e in (await records.read(ListErrors())).errors] == ["e1"]
        assert (await records.read(ListDenials())).denials == (denial(),)
        assert [one.text for one in await records.read(ReadLogs())] == [
            "one",
            "two",
            "while it runs",
        ]
        assert [one.text for one in await records.read(ReadLogs(after=1))] == [
            "two",
            "while it runs",
        ]
        with pytest.raises(NotFoundError, match="no invocation i2"):
            await records.read(ShowInvocation(id="i2"))
        with pytest.raises(TypeError, match="not asked of the records"):
            await records.read(ListFunctions())
        assert records.lost_records == 0

    asyncio.run(run())


def test_an_answer_of_many_pages_is_one_in_order(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "PAGE_CHARACTERS", 3000)

    async def run() -> None:
        records = RecordsClient(recorder)  # type: ignore[arg-type]
        for n in range(50):
            records.record(invocation(f"i{n}"), None, [line(f"l{n}")])
        await records.flush()
        found = (await records.read(ListInvocations(limit=45))).invocations
        assert [r.id for r in found] == [f"i{n}" for n in range(49, 4, -1)]
        assert recorder.pages > 3
        for asked, first in ((ReadLogs(limit=45), 5), (ReadLogs(after=3, limit=45), 3)):
            texts = [one.text for one in await records.read(asked)]
            assert texts == [f"l{n}" for n in range(first, first + 45)]

    asyncio.run(run())


def test_long_logs_are_told_in_parts_and_nothing_is_too_large_to_tell(recorder: Recorder) -> None:
    async def run() -> None:
        records = RecordsClient(recorder)  # type: ignore[arg-type]
        huge = "é" * 3_000_000
        records.record(
            invocation(),
            failure(message=huge, trace=huge + "the end"),
            [line(f"{n} " + "é" * 20_000) for n in range(300)] + [line(huge)],
        )
        assert len(recorder.told) > 1
        await records.flush()
        assert records.lost_records == 0
        found = await records.read(ReadLogs())
        assert len(found) == 301
        assert [one.text.split()[0] for one in found[:300]] == [str(n) for n in range(300)]
        error = await records.read(ShowError(id="e1"))
        assert error.trace.endswith("the end")

    asyncio.run(run())


def test_what_is_not_unicode_is_kept_and_what_is_no_record_is_lost_alone(
    recorder: Recorder,
) -> None:
    async def run() -> None:
        records = RecordsClient(recorder)  # type: ignore[arg-type]
        records.record(invocation("a"), failure(trace="t\udfff"), [line("a\udc80b")])
        records.deny(denial(reason="r\udc80"))
        records.record(invocation("b", status=2**70))
        records.record(invocation("c", outcome=object()))
        records.record(invocation("d"))
        await records.flush()
        assert records.lost_records == 2
        assert [r.id for r in (await records.read(ListInvocations())).invocations] == ["d", "a"]
        assert (await records.read(ReadLogs()))[0].text == "a\\udc80b"
        assert (await records.read(ListDenials())).denials[0].reason == "r\\udc80"

    asyncio.run(run())


def test_a_copy_replaces_nothing_and_one_that_failed_leaves_nothing(tmp_path: Path) -> None:
    class Failing(Recorder):
        async def ask(self, kind: Any, make: Any, **rest: Any) -> Any:
            assert isinstance(make(1), protocol.CopyRecords)
            assert len(rest["descriptors"]) == 1
            raise CasemateError("no room")

    async def run() -> None:
        database = RecordsDatabase.open(tmp_path / "r", KEY)
        records = RecordsClient(Failing(database))  # type: ignore[arg-type]
        with pytest.raises(CasemateError, match="no room"):
            await records.snapshot(tmp_path / "copy")
        assert not (tmp_path / "copy").exists()
        (tmp_path / "copy").touch()
        with pytest.raises(ConflictError):
            await records.snapshot(tmp_path / "copy")
        with pytest.raises(CasemateError, match="cannot be copied"):
            await records.snapshot(tmp_path / "missing" / "copy")
        database.close()

    asyncio.run(run())


def test_denials_leave_room_for_what_invocations_leave_behind() -> None:
    assert module.DENIALS_SHARE < 0.5
    assert telling.MAX_BUFFERED_BYTES >= 2 * protocol.MAX_RECORD_BYTES
    assert protocol.ASKING.unsent > telling.MAX_UNDER_WAY_BYTES + protocol.MAX_RECORD_BYTES


def test_what_is_expected_is_there_without_its_texts_where_these_have_no_room() -> None:
    bodies: list[bytes] = []

    class Full:
        def expect(self, _id: str, _kind: str, body: bytes) -> bool:
            bodies.append(body)
            return len(body) < 2000

    recorder: Any = Full()
    client = RecordsClient(recorder)
    client.expect(invocation("i1"), failure("e1"), [line()], Logs())
    client.expect(invocation("i2"), failure("e2"), [line("x" * 3000)], Logs())
    kept = [msgspec.msgpack.decode(each, type=rows.Ended) for each in bodies]
    assert [each.error is not None for each in kept] == [True, True, False]
    assert [len(each.log) for each in kept] == [1, 1, 0]
    assert all(each.invocation is not None for each in kept)


def test_what_is_expected_is_told_with_what_it_used_without_being_encoded_again() -> None:
    class Expecting:
        def __init__(self) -> None:
            self.bodies: dict[str, bytes] = {}
            self.told: dict[str, bytes] = {}

        def expect(self, id: str, _kind: str, body: bytes) -> bool:
            self.bodies[id] = body
            return True

        def expected(self, id: str) -> bytes:
            return self.bodies.get(id, b"")

        def record(self, _kind: str, body: bytes, *, held: str) -> None:
            self.told[held] = body

    recorder: Any = Expecting()
    client = RecordsClient(recorder)
    plain = invocation("i1", cpu_us=7, peak=0, memory=5)
    client.expect(plain, None, (), Logs())
    client.expect(invocation("i2"), None, [line()], Logs())
    client.expect(invocation("i3"), None, (), Logs(keep=60.0))
    assert client.record_expected(plain, 2**40, 12)
    for other in ("i2", "i3", "not expected"):
        assert not client.record_expected(invocation(other), 1, 1), "told with its texts"
    assert not client.record_expected(plain, -1, 1)
    kept = msgspec.msgpack.decode(recorder.told["i1"], type=rows.Ended)
    connection = database()
    rows.insert_records(connection, [kept], 1.0)
    found = rows.invocation(connection, ShowInvocation(id="i1"))
    assert (found.cpu_us, found.peak, found.memory) == (2**40, 12, 5)
    assert recorder.told.keys() == {"i1"}
    before = msgspec.msgpack.decode(recorder.bodies["i1"], type=rows.Ended)
    rows.insert_records(connection, [before], 1.0)
    assert rows.invocation(connection, ShowInvocation(id="i1")).cpu_us == 7, "as far as is known"
    waited = Span(name="delivery", start_ms=-3.0, ms=3.0)
    for id, spans in (("i4", (waited,)), ("i5", (waited,) * 3)):
        traced = invocation(id, spans=spans)
        client.expect(traced, None, (), Logs())
        assert client.record_expected(traced, 9, 1) is (id == "i4"), "few are told with it"
    kept = msgspec.msgpack.decode(recorder.told["i4"], type=rows.Ended)
    rows.insert_records(connection, [kept], 1.0)
    found = rows.invocation(connection, ShowInvocation(id="i4"))
    assert (found.cpu_us, [span.name for span in found.spans]) == (9, ["delivery"])
    without = msgspec.msgpack.decode(recorder.bodies["i5"], type=rows.Ended)
    assert "delivery" not in str(without)


@pytest.mark.parametrize(
    ("rows", "at"),
    [([], 5), ([1], None), ([["a"]], 5), ("none", None), (None, None), ([{"x": 1}], None)],
)
def test_pages_that_are_none_are_told(rows: object, at: int | None) -> None:
    """With nothing, and a place to go on from, it had been asked for ever."""

    class Nonsense:
        async def ask(self, _kind: Any, _make: Any, **_rest: Any) -> protocol.PageOfRecords:
            await asyncio.sleep(0)
            return protocol.PageOfRecords(msgspec.Raw(msgspec.msgpack.encode(rows)), at)

    async def run() -> None:
        records = RecordsClient(Nonsense())  # type: ignore[arg-type]
        with pytest.raises(NotRecordedError, match=r"The recorder has (sent|answered)"):
            await asyncio.wait_for(records.read(ListInvocations(project="shop")), 5)

    asyncio.run(run())
