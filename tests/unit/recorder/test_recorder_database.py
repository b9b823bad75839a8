"""The open database of records: each told once, missed where it is gone, private, and bounded."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from records_samples import (
    KEY,
    OTHER_KEY,
    Filled,
    denial,
    every,
    failure,
    invocation,
    invocations,
    line,
    lines,
    opened,
    told,
)

from casemate.model.errors import InvalidInputError, NotFoundError
from casemate.model.function import Logs
from casemate.model.invocation import ErrorRecord, InvocationRecord, LogLine
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
from casemate.operations.traces import FindTrace
from casemate.operations.usage import ReadUsage
from casemate.recorder import protocol
from casemate.recorder.errors import RecorderInputError
from casemate.recorder.protocol import Take, Told
from casemate.recorder.records import keeping, questions, rows
from casemate.recorder.records.client import RecordsClient
from casemate.recorder.records.database import RecordsDatabase
from casemate.recorder.records.errors import (
    RecordsClosedError,
    RecordsCorruptError,
    RecordsFullError,
    RecordsKeyError,
    RecordsMissingError,
)
from casemate.recorder.records.opening import COPY, DATABASE
from casemate.recorder.records.rows import InvocationRow, Left
from casemate.sqlite import engine

PLANTED = "planted-in-clear-4711"


def take(session: bytes, first: int, *ones: Told) -> Take:
    return Take(1, session, first, ones)


def ended(
    record: InvocationRecord, error: ErrorRecord, log: tuple[LogLine, ...], logs: Logs
) -> Told:
    told = []

    class Client:
        def record(self, kind: str, body: bytes, **_how: object) -> None:
            told.append(Told(kind, body))

    recorder: Any = Client()
    RecordsClient(recorder).record(record, error, log, logs)
    return told[0]


def test_what_is_sent_again_is_kept_once_by_its_number_and_session(tmp_path: Path) -> None:
    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        three = [told(Left(invocation(f"i{n}"), None, (line(f"l{n}"),))) for n in range(3)]
        fact = Told("SignedIn", b"")
        await records.keep([take(b"a" * 8, 0, three[0], fact, three[1])])
        await records.keep([take(b"a" * 8, 0, three[0], fact, three[1], three[2])])
        records.close()
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        await records.keep([take(b"a" * 8, 1, fact, three[1], three[2])])
        await records.keep([take(b"b" * 8, 0, three[0])])
        assert [r.id for r in await invocations(records)] == ["i0", "i2", "i1", "i0"]
        assert [one.text for one in await lines(records)] == ["l0", "l1", "l2", "l0"]
        records.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "changes", [{"memory": 1 << 63}, {"run_ms": float("nan")}], ids=["too large", "no number"]
)
def test_what_cannot_be_kept_keeps_nothing_else_from_it(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    """Those that came together are tried together first: nothing of that may be there twice."""

    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        kept = [told(Left(invocation(f"i{n}"), None, (line(f"l{n}"),))) for n in range(3)]
        bad = ended(invocation("bad", **changes), failure(), (line("lost"),), Logs())
        batch = take(b"a" * 8, 0, kept[0], bad, kept[1], told(denial()), kept[2])
        assert await records.keep([batch]) == 1
        assert await records.keep([batch]) == 0
        assert [r.id for r in await invocations(records)] == ["i2", "i1", "i0"]
        assert [one.text for one in await lines(records)] == ["l0", "l1", "l2"]
        [used] = (await records.page(ReadUsage(), None)).rows
        assert used.requests == 3
        records.close()

    asyncio.run(run())


def test_a_record_without_names_is_the_same_record(tmp_path: Path) -> None:
    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        spans = (Span(name="bucket:read", start_ms=1.0, ms=2.0),)
        whole = invocation(
            "i1", error_id="e1", trace_id="a" * 32, parent_id="b" * 16, spans=spans, attempt=2,
            caller="user:ada", route="/a/{id}", cpu_us=5, memory=6, peak=7, uses=8,
        )  # fmt: skip
        logs = Logs(keep=60.0)
        named = Told(protocol.LEFT, msgspec.msgpack.encode(Left(whole, failure(), (), logs)))
        bare = ended(whole, failure(), (), logs)
        assert len(bare.fact) < 0.75 * len(named.fact)
        await records.keep([take(b"a" * 8, 0, named, bare)])
        one, other = await invocations(records)
        assert one == other and one.spans == spans and one.route == "/a/{id}"
        records.close()
        rows = opened(tmp_path / "r").execute("SELECT number, age FROM record_share").fetchall()
        assert rows == [(2, 60.0), (2, 60.0)]

    asyncio.run(run())


def test_fields_of_a_record_without_names_are_appended_only() -> None:
    """What a gateway that was killed has told is read by the recorder of a later release."""
    assert InvocationRow.__struct_fields__[:27] == (
        *("id", "project", "function", "version", "trigger", "outcome", "status", "started_at"),
        *("queued_ms", "run_ms", "cold", "request_bytes", "response_bytes", "error_id", "attempt"),
        *("trace_id", "span_id", "parent_id", "spans", "more_spans", "caller", "route", "cpu_us"),
        *("memory", "peak", "uses", "node"),
    )


def test_the_sessions_of_old_gateways_are_forgotten(tmp_path: Path) -> None:
    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        for n in range(keeping.MAX_SESSIONS + 5):
            await records.keep([take(n.to_bytes(8, "big"), 0, told(denial()))])
        records.close()
        connection = opened(tmp_path / "r")
        (count,) = connection.execute("SELECT count(*) FROM session").fetchone()
        assert count == keeping.MAX_SESSIONS
        connection.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "bad",
    [
        Told(protocol.LEFT, b""),
        Told(protocol.LEFT, b"\xc1rubbish"),
        Told(protocol.LEFT, msgspec.msgpack.encode([None, None, [], {}])),
        Told(protocol.LEFT, msgspec.msgpack.encode([{"id": 7}, None, [], {}])),
        Told(protocol.LEFT, msgspec.msgpack.encode([None, None, [], {}, "more"])),
        Told(protocol.DENIED, msgspec.msgpack.encode({"at": "x"})),
        Told(protocol.DENIED, b"\x91" * 5000),
    ],
)
def test_what_is_no_record_is_refused_with_all_that_came_with_it(tmp_path: Path, bad: Told) -> None:
    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        with pytest.raises(RecorderInputError):
            await records.keep([take(b"a" * 8, 0, told(denial()), bad)])
        assert await every(records, ListDenials()) == []
        await records.keep([take(b"a" * 8, 0, told(denial()))])
        assert len(await every(records, ListDenials())) == 1
        records.close()

    asyncio.run(run())


@pytest.mark.parametrize("kind", list(questions.QUESTIONS))
def test_every_question_travels_and_nothing_else_does(kind: type) -> None:
    asked = kind(id="i1") if kind in (ShowInvocation, ShowError, FindTrace) else kind(project="p")
    assert questions.decode(kind.__name__, msgspec.msgpack.encode(asked)) == asked
    for name, body in (
        (kind.__name__, b""),
        (kind.__name__, b"\xc1"),
        (kind.__name__, msgspec.msgpack.encode({"limit": 10**9, "id": "../x"})),
        (ListFunctions.__name__, msgspec.msgpack.encode(ListFunctions())),
        ("", b"\x80"),
    ):
        with pytest.raises(RecorderInputError, match="no question"):
            questions.decode(name, body)


def test_a_long_answer_comes_in_pages_of_bounded_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "PAGE_CHARACTERS", 5000)

    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        filled = Filled(records)
        for n in range(40):
            await filled.tell(
                Left(invocation(f"i{n}"), failure(f"e{n}"), (line(f"text {n} " + "x" * 900),)),
                denial(reason=f"r{n}"),
            )
        for operation in (ReadLogs(), ListInvocations(), ListErrors(), ListDenials()):
            page = await records.page(operation, None)
            assert 0 < len(page.rows) < 40
            assert len(await every(records, operation)) == 40
        assert [one.text[:7].strip() for one in await lines(records)] == [
            f"text {n}" for n in range(40)
        ]
        assert len(await lines(records, after=10)) == 30
        assert len(await lines(records, search="text")) == 40
        assert len(await lines(records, search="text", after=10)) == 30
        assert [e.text[:6] for e in await lines(records, search="text 3", limit=2)] == [
            "text 3",
            "text 3",
        ]
        records.close()

    asyncio.run(run())


def test_records_that_are_gone_are_missed_and_begun_anew_only_when_told_to(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    RecordsDatabase.open(folder, KEY).close()
    for name in os.listdir(folder):
        (folder / name).unlink()
    with pytest.raises(RecordsMissingError, match=r"records\.db") as caught:
        RecordsDatabase.open(folder, KEY, expected=True)
    assert "--accept-loss records" in str(caught.value)
    assert not (folder / DATABASE).exists()
    RecordsDatabase.open(folder, KEY, expected=True, accept_loss=True).close()
    RecordsDatabase.open(folder, KEY, expected=True).close()


def test_a_log_without_its_database_is_missed_although_none_was_expected(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / f"{DATABASE}-wal").write_bytes(b"changes")
    with pytest.raises(RecordsMissingError) as caught:
        RecordsDatabase.open(tmp_path / "r", KEY)
    assert "--accept-loss records" in str(caught.value)
    # Before: what it says to do was refused as well.
    RecordsDatabase.open(tmp_path / "r", KEY, expected=True, accept_loss=True).close()
    (aside,) = (tmp_path / "r").glob(f"{DATABASE}-wal.lost-*")
    assert aside.read_bytes() == b"changes"
    RecordsDatabase.open(tmp_path / "r", KEY, expected=True).close()


def test_another_key_is_refused_and_what_cannot_be_read_is_kept_aside(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    RecordsDatabase.open(folder, KEY).close()
    before = (folder / DATABASE).read_bytes()
    with pytest.raises(RecordsKeyError):
        RecordsDatabase.open(folder, OTHER_KEY)
    assert (folder / DATABASE).read_bytes() == before
    RecordsDatabase.open(folder, OTHER_KEY, accept_loss=True).close()
    (aside,) = folder.glob(f"damaged-*-{DATABASE}")
    assert aside.read_bytes() == before


def test_lost_commits_are_named_and_accepted_by_name(tmp_path: Path) -> None:
    folder, crashed = tmp_path / "r", tmp_path / "crashed"

    async def run() -> None:
        records = RecordsDatabase.open(folder, KEY)
        await Filled(records).tell(*(denial(reason=f"r{n}") for n in range(50)))
        crashed.mkdir()
        for file in folder.iterdir():
            (crashed / file.name).write_bytes(file.read_bytes())
        records.close()

    asyncio.run(run())
    (crashed / f"{DATABASE}-wal").write_bytes(b"")
    with pytest.raises(RecordsCorruptError, match="lost what was acknowledged"):
        RecordsDatabase.open(crashed, KEY, expected=True)
    RecordsDatabase.open(crashed, KEY, expected=True, accept_loss=True).close()


def test_leftovers_of_a_crash_are_in_nobody_s_way(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    folder.mkdir()
    (folder / f"{DATABASE}.new").write_bytes(b"half")
    (folder / COPY).write_bytes(b"half")
    RecordsDatabase.open(folder, KEY).close()
    names = {file.name for file in folder.iterdir()}
    assert names == {DATABASE, f"{DATABASE}-count"}


def test_nothing_is_in_clear_and_nobody_else_may_look(tmp_path: Path) -> None:
    folder = tmp_path / "r"

    async def run() -> None:
        records = RecordsDatabase.open(folder, KEY)
        one = Left(
            invocation(function=PLANTED),
            failure(message=PLANTED, trace=PLANTED),
            (line(PLANTED),) * 50,
        )
        await Filled(records).tell(one, denial(reason=PLANTED))
        for file in folder.iterdir():
            data = file.read_bytes()
            for clear in (PLANTED.encode(), b"SQLite format", b"CREATE TABLE", KEY):
                assert clear not in data, (file.name, clear)
            if not file.name.endswith("-shm"):
                assert file.stat().st_mode & 0o077 == 0, file.name
        await records.rekey(OTHER_KEY)
        assert len(await lines(records)) == 50
        records.close()

    asyncio.run(run())
    assert folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(RecordsKeyError):
        RecordsDatabase.open(folder, KEY)
    RecordsDatabase.open(folder, OTHER_KEY).close()


def test_a_full_disk_is_told_and_nothing_is_half_kept(tmp_path: Path) -> None:
    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY)

        def limit(connection: engine.Connection, spare: int | None) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            most = 2**30 if spare is None else pages + spare
            connection.execute(f"PRAGMA max_page_count = {most}").fetchone()

        await records._writer.submit(lambda c: limit(c, 2))
        many = [told(Left(invocation(f"i{n}"), None, (line("x" * 100),))) for n in range(400)]
        with pytest.raises(RecordsFullError, match="disk of the records is full") as caught:
            await records.keep([take(b"a" * 8, 0, *many)])
        assert caught.value.retryable
        assert await invocations(records) == []
        await records._writer.submit(lambda c: limit(c, None))
        await records.keep([take(b"a" * 8, 0, *many)])
        assert len(await invocations(records)) == 400
        records.close()

    asyncio.run(run())


def test_a_copy_is_whole_and_leaves_nothing_in_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "r"

    async def run() -> None:
        records = RecordsDatabase.open(folder, KEY)
        filled = Filled(records)
        await filled.tell(*(Left(invocation(f"i{n}"), None, (line(),)) for n in range(500)))
        (tmp_path / "copy").mkdir()
        with (tmp_path / "copy" / DATABASE).open("wb") as file:
            copying = asyncio.ensure_future(records.copy(folder, file.fileno()))
            await filled.tell(Left(invocation("meanwhile"), None, ()))
            await copying
        assert COPY not in {file.name for file in folder.iterdir()}
        assert await records.scrub(0) == []
        records.close()
        with pytest.raises(RecordsClosedError):
            await records.page(ListInvocations(), None)
        with pytest.raises(RecordsClosedError):
            await records.keep([take(b"z" * 8, 0, told(denial()))])

    asyncio.run(run())
    connection = opened(tmp_path / "copy")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("SELECT count(*) FROM log_line").fetchone() == (500,)
    connection.close()


def test_the_loop_runs_on_while_the_database_is_held(tmp_path: Path) -> None:
    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        other = opened(tmp_path / "r")
        other.execute("BEGIN IMMEDIATE")
        keeping = asyncio.ensure_future(records.keep([take(b"a" * 8, 0, told(denial()))]))
        longest = 0.0
        for _ in range(20):
            start = time.perf_counter()
            await every(records, ListDenials())
            longest = max(longest, time.perf_counter() - start)
        assert not keeping.done()
        assert longest < 1.0
        other.execute("ROLLBACK")
        other.close()
        await keeping
        records.close()

    asyncio.run(run())


def test_no_thread_or_descriptor_is_left_behind(tmp_path: Path) -> None:
    times = 3

    async def run() -> None:
        for _ in range(times):
            records = RecordsDatabase.open(tmp_path / "r", KEY)
            await Filled(records, os.urandom(8)).tell(denial())
            await every(records, ListDenials())
            records.close()

    def descriptors() -> list[str]:
        found = []
        for one in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # such as the one that lists them
                found.append(str(one.readlink()))
        return found

    asyncio.run(run())
    threads, before = threading.active_count(), descriptors()
    asyncio.run(run())
    after = descriptors()
    assert threading.active_count() == threads
    assert [one for one in after if one.startswith(str(tmp_path))] == []
    # What other tests of this process have left behind may open or close one meanwhile.
    assert len(after) < len(before) + times


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", -1), ("limit", 100_001), ("limit", True), ("after", -1), ("after", 2**63)],
)
def test_bounds_of_reads_are_checked(tmp_path: Path, name: str, value: int) -> None:
    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        with pytest.raises(InvalidInputError, match=name):
            await records.page(ReadLogs(**{name: value}), None)  # type: ignore[arg-type]
        if name == "limit":
            with pytest.raises(InvalidInputError):
                await records.page(ListInvocations(limit=value), None)
        records.close()

    asyncio.run(run())


@pytest.mark.parametrize("text", ["'; DROP TABLE invocation; --", "\0", "é" * 10_000])
def test_hostile_text_in_a_question_finds_nothing_and_breaks_nothing(
    tmp_path: Path, text: str
) -> None:
    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        await Filled(records).record(invocation(), None, [line("a line")])
        with pytest.raises(NotFoundError):
            await records.page(ShowInvocation(id=text), None)
        assert await lines(records, function=text) == []
        assert await lines(records, search=text) == []
        assert await lines(records, search='" OR a NEAR b*') == []
        assert len(await invocations(records)) == 1
        records.close()

    asyncio.run(run())
