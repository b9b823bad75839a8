"""Records lent to who exports them: in order, none left out, and only where that is set."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import msgspec
from records_samples import Filled, database, invocation, line

from casemate.child.calls import framed
from casemate.model.invocation import InvocationRecord
from casemate.model.tracing import Span, span_of, trace_of
from casemate.recorder import reading_protocol
from casemate.recorder.reading_protocol import MAX_LENT, GetHead, Head, Lend, Lent, Line
from casemate.recorder.records.database import RecordsDatabase
from casemate.recorder.records.lending import MAX_CHARACTERS, lent
from casemate.recorder.records.rows import Left, insert_records
from casemate.sqlite import engine
from support.monitor import running
from support.recorder_world import World

OUTSIDE = "4bf92f3577b34da6a3ce929d0e0e4736"


def filled(*left: Left) -> engine.Connection:
    made = database()
    made.execute("BEGIN")
    assert insert_records(made, list(left), 5.0) == 0
    made.execute("COMMIT")
    return made


def all_of(connection: engine.Connection, what: Any) -> list[Any]:
    found: list[Any] = []
    at = 0
    while True:
        part = lent(connection, what, at)
        assert len(part.rows) <= MAX_LENT
        found += part.rows
        at = part.next
        if at == part.newest:
            return found


def test_all_of_them_are_lent_in_order() -> None:
    made = filled(*(Left(invocation(f"i{n}"), log=(line(f"l{n}"),)) for n in range(1200)))
    assert [each.id for each in all_of(made, "invocations")] == [f"i{n}" for n in range(1200)]
    lines: list[Line] = all_of(made, "lines")
    assert [each.line.text for each in lines] == [f"l{n}" for n in range(1200)]
    assert lines[0].stored_at == 5.0


def test_at_first_it_is_told_where_they_are() -> None:
    made = filled(*(Left(invocation(f"i{n}")) for n in range(7)))
    assert lent(made, "invocations", None) == ([], 7, 7)
    assert lent(made, "lines", None) == ([], 0, 0)
    assert lent(made, "invocations", 7) == ([], 7, 7)
    assert lent(made, "invocations", 900) == ([], 900, 7)


def test_what_was_deleted_is_passed_over_also_where_it_was_the_newest() -> None:
    made = filled(*(Left(invocation(f"i{n}")) for n in range(9)))
    made.execute("DELETE FROM invocation WHERE sequence IN (2, 3, 8, 9)")
    part = lent(made, "invocations", 0)
    assert [each.id for each in part.rows] == ["i0", "i3", "i4", "i5", "i6"]
    assert (part.next, part.newest) == (7, 9)
    assert lent(made, "invocations", 7) == ([], 9, 9)


def test_a_row_that_was_edited_keeps_no_other_back() -> None:
    made = filled(*(Left(invocation(f"i{n}")) for n in range(5)))
    made.execute("UPDATE invocation SET outcome = 'evil' WHERE sequence = 2")
    made.execute(f"UPDATE invocation SET trace = '{OUTSIDE}[]' WHERE sequence = 4")
    part = lent(made, "invocations", 0)
    assert [each.id for each in part.rows] == ["i0", "i2", "i4"]
    assert part.next == 5


def test_one_answer_is_bounded_in_characters() -> None:
    text = "x" * 16_000
    made = filled(*(Left(None, log=(line(text),)) for _ in range(200)))
    part = lent(made, "lines", 0)
    assert sum(len(each.line.text) for each in part.rows) <= MAX_CHARACTERS + 16_000
    assert len(all_of(made, "lines")) == 200


def test_a_line_is_of_the_trace_of_its_invocation_once_that_is_known() -> None:
    made = filled(
        Left(invocation("i1"), log=(line("own"),)),
        Left(
            invocation("i2", trace_id=OUTSIDE, parent_id="00f067aa0ba902b7"),
            log=(line("outside", invocation="i2"),),
        ),
        Left(None, log=(line("runs", invocation="i3"),)),
    )
    own, outside, runs = all_of(made, "lines")
    assert (own.trace_id, own.span_id) == (trace_of("i1"), span_of("i1"))
    assert (outside.trace_id, outside.span_id) == (OUTSIDE, span_of("i2"))
    assert (runs.trace_id, runs.span_id) == ("", "")


def test_what_is_lent_is_masked_as_what_is_stored_is() -> None:
    token = "ghp_" + "a1B2" * 9
    made = filled(Left(invocation("i1"), log=(line(f"token {token}"),)))
    [found] = all_of(made, "lines")
    assert token not in found.line.text


def test_uses_of_an_invocation_are_lent_with_it() -> None:
    used = (Span(name="queue.send", on="queue jobs", start_ms=1.0, ms=2.0),)
    made = filled(Left(invocation("i1", spans=used)))
    [found] = all_of(made, "invocations")
    assert isinstance(found, InvocationRecord) and found.spans == used


def test_the_database_lends_from_its_reading_thread(tmp_path: Path) -> None:
    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "records", bytes(32))
        try:
            await Filled(records).tell(Left(invocation("i1")), Left(invocation("i2")))
            found = await records.lent("invocations", 0)
            assert [each.id for each in found.rows] == ["i1", "i2"]
        finally:
            records.close()

    asyncio.run(run())


async def asked(world: World, message: msgspec.Struct) -> Any:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    world.recorder.readers.accept(theirs)
    ours.send(framed(message))
    answer = await world.answer(ours)
    ours.close()
    return answer


@running
async def test_nothing_is_lent_where_the_settings_have_nothing_exported(tmp_path: Path) -> None:
    world = await World(tmp_path).begin()
    answer = await asked(world, Lend(1, "lines", None))
    assert answer.failure is not None and "no records exported" in answer.failure.message
    await world.close()


@running
async def test_it_is_lent_where_they_have(tmp_path: Path) -> None:
    world = await World(tmp_path, lends_records=True).begin()

    async def lends(request: Lend) -> Lent:
        return Lent(msgspec.Raw(msgspec.msgpack.encode([])), 0, 3, 3)

    world.recorder._records.lent = lends  # type: ignore[method-assign]
    answer = await asked(world, Lend(1, "lines", None))
    assert msgspec.msgpack.decode(answer.result, type=Lent).newest == 3
    await world.close()


@running
async def test_the_head_is_told_to_who_reads_along(tmp_path: Path) -> None:
    world = await World(tmp_path).begin()
    answer = await asked(world, GetHead(4))
    assert msgspec.msgpack.decode(answer.result, type=Head).size == 0
    await world.close()


@running
async def test_one_who_asks_without_end_is_cut_off(tmp_path: Path) -> None:
    world = await World(tmp_path, lends_records=True).begin()

    async def never(request: Lend) -> Lent:
        await asyncio.sleep(3600)
        raise AssertionError

    world.recorder._records.lent = never  # type: ignore[method-assign]
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    world.recorder.readers.accept(theirs)
    for n in range(reading_protocol.MAX_QUESTIONS + 1):
        ours.send(framed(Lend(n, "lines", 0)))
    assert await world.answer(ours) is None, "its connection is closed"
    ours.close()
    await world.close()
