"""Records on their way out: each once where nothing is killed, none left out where something is."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from test_exports_encoding import line, record

from casemate.metrics.families import Family
from casemate.monitor import retrying
from casemate.monitor.errors import BusyError, RefusedError, TooLargeError, UndeliveredError
from casemate.monitor.exports import readings as readings_module
from casemate.monitor.exports import stream as stream_module
from casemate.monitor.exports.collector import Delivered
from casemate.monitor.exports.exporting import Exporting
from casemate.monitor.exports.readings import Readings
from casemate.monitor.exports.stream import Stream
from casemate.monitor.protocol import Numbers
from casemate.recorder.errors import RecorderError
from casemate.recorder.reading_protocol import Lend, Lent
from support.monitor import Journal, Watch, running
from support.waiting import until


class Records:
    """What a recorder lends: lines with numbers, some of which were deleted."""

    def __init__(self, count: int = 0, *, most: int = 10) -> None:
        self.kept = {n: line(f"line {n}", sequence=n) for n in range(1, count + 1)}
        self.newest = count
        self.most = most
        self.asked: list[int | None] = []
        self.fails = False

    def write(self, count: int) -> None:
        for _ in range(count):
            self.newest += 1
            self.kept[self.newest] = line(f"line {self.newest}", sequence=self.newest)

    async def __call__(self, what: Any, after: int | None = None) -> Lent:
        if isinstance(what, Lend):
            what, after = what.what, what.after
        self.asked.append(after)
        if self.fails:
            raise RecorderError("The disk is gone.")
        if after is None or after >= self.newest:
            next = self.newest if after is None else after
            return Lent(msgspec.Raw(msgspec.msgpack.encode([])), 0, next, self.newest)
        numbers = [n for n in sorted(self.kept) if n > after][: self.most]
        rows = msgspec.Raw(msgspec.msgpack.encode([self.kept[n] for n in numbers]))
        return Lent(rows, len(numbers), numbers[-1] if numbers else self.newest, self.newest)


class Taker:
    """Takes lines, or does what it is told to."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.asked = 0
        self.fails: list[Exception] = []
        self.hangs = False

    async def __call__(self, rows: Sequence[Any]) -> Delivered:
        self.asked += 1
        if self.hangs:
            await asyncio.sleep(3600)
        if self.fails:
            raise self.fails.pop(0)
        self.taken += [each.line.sequence for each in rows]
        return Delivered()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(retrying, "LONGEST_PAUSE", 0.05)


def stream(taker: Taker) -> Stream:
    return Stream("lake", "logs", 0.01, taker)


@running
async def test_what_is_new_is_sent_in_order_and_nothing_older() -> None:
    records, taker = Records(5), Taker()
    task = asyncio.create_task((made := stream(taker)).run(records))
    await until(lambda: records.asked)
    records.write(35)
    await until(lambda: len(taker.taken) == 35)
    assert taker.taken == list(range(6, 41))
    assert (made.state.sent, made.state.behind, made.state.problem) == (35, 0, "")
    assert taker.asked == 4
    task.cancel()


@running
async def test_what_fails_is_tried_again_until_it_is_taken() -> None:
    records, taker = Records(), Taker()
    made = stream(taker)
    task = asyncio.create_task(made.run(records))
    await until(lambda: records.asked)
    taker.fails = [UndeliveredError("It answers 500."), OSError("reset"), EOFError(), KeyError("x")]
    records.write(3)
    await until(lambda: made.problem)
    await until(lambda: taker.taken)
    assert taker.taken == [1, 2, 3] and taker.asked == 5
    assert made.state.problem == "" and made.state.refused == 0
    task.cancel()


@running
async def test_who_asks_for_time_is_given_it() -> None:
    records, taker = Records(), Taker()
    made = stream(taker)
    task = asyncio.create_task(made.run(records))
    await until(lambda: records.asked)
    later = BusyError("It answers 429.")
    later.seconds = 0.3
    taker.fails = [later]
    records.write(1)
    await until(lambda: made.problem)
    began = time.monotonic()
    await until(lambda: taker.taken)
    assert time.monotonic() - began > 0.2
    task.cancel()


@running
async def test_one_that_is_too_large_is_cut_and_one_that_is_refused_is_given_up() -> None:
    records, taker = Records(most=16), Taker()
    made = stream(taker)

    async def send(rows: Sequence[Any]) -> Delivered:
        if len(rows) > 4:
            raise TooLargeError("It answers 413.")
        if any(each.line.sequence == 7 for each in rows):
            raise RefusedError("It answers 400.")
        return await taker(rows)

    made._send = send
    task = asyncio.create_task(made.run(records))
    await until(lambda: records.asked)
    records.write(16)
    await until(lambda: len(taker.taken) == 12)
    assert taker.taken == [1, 2, 3, 4, *range(9, 17)]
    assert made.state.refused == 4 and made.state.sent == 12
    task.cancel()


@running
async def test_one_who_takes_nothing_of_any_size_is_not_asked_for_ever() -> None:
    records, taker = Records(most=500), Taker()
    made = stream(taker)

    async def send(rows: Sequence[Any]) -> Delivered:
        taker.asked += 1
        raise TooLargeError("It answers 413.")

    made._send = send
    task = asyncio.create_task(made.run(records))
    await until(lambda: records.asked)
    records.write(500)
    await until(lambda: made.refused == 500)
    assert taker.asked <= 2 * stream_module.MAX_HALVINGS + 1
    assert "413" in made.problem
    task.cancel()


@running
async def test_a_part_that_failed_and_was_then_cut_is_sent_once() -> None:
    records, taker = Records(most=8), Taker()
    taker.fails = [UndeliveredError("It answers 500."), TooLargeError("It answers 413.")]
    made = stream(taker)
    task = asyncio.create_task(made.run(records))
    await until(lambda: records.asked)
    records.write(8)
    await until(lambda: len(taker.taken) >= 8)
    await asyncio.sleep(0.1)
    assert taker.taken == list(range(1, 9))
    task.cancel()


@running
async def test_some_that_were_not_taken_are_counted() -> None:
    records, taker = Records(), Taker()
    made = stream(taker)

    async def send(rows: Sequence[Any]) -> Delivered:
        await taker(rows)
        return Delivered(2, "too old")

    made._send = send
    task = asyncio.create_task(made.run(records))
    await until(lambda: records.asked)
    records.write(5)
    await until(lambda: made.refused)
    assert (made.sent, made.refused) == (3, 2) and "too old" in made.problem
    task.cancel()


@running
async def test_what_was_deleted_before_it_was_sent_is_counted() -> None:
    records, taker = Records(), Taker()
    made = stream(taker)
    task = asyncio.create_task(made.run(records))
    await until(lambda: records.asked)
    taker.fails = [UndeliveredError("It answers 500.")] * 3
    records.write(30)
    for n in (*range(12, 18), 30):
        del records.kept[n]
    await until(lambda: made.state.missed == 7)
    assert taker.taken == [*range(1, 12), *range(18, 30)]
    task.cancel()


@running
async def test_records_that_were_replaced_are_sent_from_their_beginning() -> None:
    records, taker = Records(20), Taker()
    made = stream(taker)
    task = asyncio.create_task(made.run(records))
    await until(lambda: records.asked)
    records.kept, records.newest = {}, 0
    records.write(3)
    await until(lambda: taker.taken)
    assert taker.taken == [1, 2, 3] and made.missed == 0
    task.cancel()


@running
async def test_a_recorder_that_fails_is_said_and_asked_again() -> None:
    records, taker = Records(), Taker()
    made = stream(taker)
    task = asyncio.create_task(made.run(records))
    await until(lambda: records.asked)
    records.fails = True
    await until(lambda: "records cannot be read" in made.problem)
    records.fails = False
    await until(lambda: not made.problem)
    task.cancel()


@running
async def test_one_that_hangs_delays_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "ATTEMPT_SECONDS", 0.1)
    records, taker, other = Records(), Taker(), Taker()
    made = stream(taker)
    exporting = Exporting((made, Stream("other", "logs", 0.01, other)), {}, 0.0)
    task = asyncio.create_task(exporting.run(records))
    await until(lambda: len(records.asked) >= 2)
    taker.hangs = True
    records.write(40)
    await until(lambda: len(other.taken) == 40)
    await until(lambda: "not taken within" in made.problem)
    assert [each for each in exporting.problems() if "lake" in each]
    taker.hangs = False
    await until(lambda: len(taker.taken) == 40)
    task.cancel()


@running
async def test_kills_leave_nothing_out(tmp_path: Path) -> None:
    records, taker, journal = Records(most=7), Taker(), Journal(tmp_path / "journal")
    journal.records = records
    seconds = iter((0.05, 0.11, 0.02, 0.2, 0.0, 0.3))
    made = stream(taker)
    watch = await Watch(tmp_path / "m", {}, exporting=Exporting((made,), {}, 0.0)).start(journal)
    await until(lambda: records.asked)
    await until(lambda: watch.noticing.following.position.next is not None)
    await watch.stop()
    for pause in seconds:
        made = stream(taker)
        watch = Watch(tmp_path / "m", {}, exporting=Exporting((made,), {}, 0.0))
        await watch.start(journal)
        records.write(25)
        await asyncio.sleep(pause)
        await watch.noticing.save()
        await asyncio.sleep(pause / 2)
        await watch.kill()
    made = stream(taker)
    watch = await Watch(tmp_path / "m", {}, exporting=Exporting((made,), {}, 0.0)).start(journal)
    await until(lambda: set(taker.taken) == set(range(1, 151)))
    # What was sent and not remembered goes once more, under its number.
    assert max(Counter(taker.taken).values()) <= 3
    assert made.missed == 0
    await watch.stop()
    journal.close()


def told(n: int, *, first: bool = True) -> Numbers:
    family = Family("casemate_x", "gauge", "x", (("", float(n)),))
    return Numbers(1, first, 1.0, 2.0, (family,))


@running
async def test_numbers_that_could_not_be_sent_are_replaced_by_newer_ones() -> None:
    sent: list[bytes] = []
    fails = True

    async def send(body: bytes) -> Delivered:
        if fails:
            raise UndeliveredError("It answers 503.")
        sent.append(body)
        return Delivered()

    made = Readings("lake", 0.0, send, "node")
    task = asyncio.create_task(made.run())
    for n in range(20):
        made.put(told(n))
        made.put(told(n, first=False))
        await asyncio.sleep(0.005)
    assert made.state.behind == 2 and "503" in made.problem
    fails = False
    await until(lambda: len(sent) == 2)
    await until(lambda: not made.state.behind)
    assert made.problem == "" and made.missed == 38
    task.cancel()


@running
async def test_numbers_come_no_more_often_than_they_are_wanted_and_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[bytes] = []

    async def send(body: bytes) -> Delivered:
        sent.append(body)
        return Delivered()

    made = Readings("lake", 60.0, send, "node")
    for n in range(10):
        made.put(told(n))
    assert made.state.behind == 1
    monkeypatch.setattr(readings_module, "MAX_WAITING_BYTES", 400)
    other = Readings("pond", 60.0, send, "node")
    for n in range(50):
        other.put(told(n, first=n == 0))
    assert other.state.behind <= 4 and other.refused == 50 - other.state.behind
    assert other._size <= 400


def test_all_of_an_invocation_travels() -> None:
    encoded = msgspec.msgpack.encode([record()])
    assert stream_module._DECODERS["invocations"](msgspec.Raw(encoded)) == [record()]
