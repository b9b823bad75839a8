"""The gateway's way for recorders' batches: what is stored, fetched, and said of other nodes."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from casemate.gateway import records_shipping
from casemate.gateway.records_shipping import RecordsShipping
from casemate.model.nodes import RecordsBehind
from casemate.recorder import protocol
from casemate.store.errors import StoreMediumError
from casemate.store.shipped_records import Batch, Stream

OWN, OTHER = bytes(16), b"\x01" * 16


class Recorder:
    """Has batches to be stored, and notes what it is given."""

    def __init__(self, *contents: bytes) -> None:
        self.waiting = list(contents)
        self.number = 1
        self.more = True
        self.stream = OWN
        self.asked: list[Any] = []
        self.other = protocol.Place("b", b"", 0, False, "bee")

    async def ask(self, _kind: Any, make: Any) -> Any:
        request = make(1)
        self.asked.append(request)
        if isinstance(request, protocol.GetPlaces):
            return (protocol.Place("a", b"", 0, True, "ay"), self.other)
        if isinstance(request, protocol.Receive):
            self.other = protocol.Place("b", request.stream, request.number, False, "bee")
            return self.other
        if request.anew:
            self.stream, self.number = b"\x02" * 16, 1
        elif request.stored is not None and self.waiting:
            self.waiting.pop(0)
            self.number += 1
        if not self.waiting:
            return None
        more = len(self.waiting) > 1 and self.more
        return protocol.Shipment("a", self.stream, self.number, self.waiting[0], more)


class Rows:
    def __init__(self) -> None:
        self.there: dict[tuple[str, bytes, int], bytes] = {}
        self.away = False
        self.forgotten = 0

    async def keep(self, batch: Batch) -> bool:
        if self.away:
            raise StoreMediumError("It is away.")
        return self.there.setdefault(batch[:3], batch.content) == batch.content

    async def streams(self) -> list[Stream]:
        found: dict[tuple[str, bytes], int] = {}
        for node, stream, number in self.there:
            found[node, stream] = max(number, found.get((node, stream), 0))
        return [Stream(*name, last) for name, last in sorted(found.items())]

    async def after(self, stream: Stream, number: int, most: int) -> list[Batch]:
        found = [
            Batch(*key, content)
            for key, content in sorted(self.there.items())
            if key[:2] == (stream.node, stream.stream) and key[2] > number
        ]
        return found[:most]

    async def forget(self) -> int:
        self.forgotten += 1
        return 0


def carrying(recorder: Recorder, rows: Rows) -> RecordsShipping:
    return RecordsShipping(recorder, rows, lambda: "ay")  # type: ignore[arg-type]


def test_all_that_waits_is_stored_and_all_that_others_have_is_read() -> None:
    recorder, rows = Recorder(b"one", b"two"), Rows()
    for number in range(1, 11):
        rows.there["b", OTHER, number] = b"%d" % number
    asyncio.run(carrying(recorder, rows).turn())
    assert rows.there["a", OWN, 1] == b"one"
    assert rows.there["a", OWN, 2] == b"two"
    read = [each.number for each in recorder.asked if isinstance(each, protocol.Receive)]
    assert read == list(range(1, 11))
    assert rows.forgotten == 1


def test_what_came_while_a_batch_was_stored_waits_for_the_next_turn() -> None:
    recorder, rows = Recorder(b"one", b"two"), Rows()
    recorder.more = False
    shipping = carrying(recorder, rows)
    asyncio.run(shipping.turn())
    assert list(rows.there.values()) == [b"one"]
    asyncio.run(shipping.turn())
    assert list(rows.there.values()) == [b"one", b"two"]
    told = [each.stored for each in recorder.asked if isinstance(each, protocol.Ship)]
    assert told == [None, (OWN, 1)]


def test_where_another_batch_is_there_the_recorder_begins_anew() -> None:
    recorder, rows = Recorder(b"mine"), Rows()
    rows.there["a", OWN, 1] = b"from before it was put back"
    asyncio.run(carrying(recorder, rows).turn())
    assert [each.anew for each in recorder.asked if isinstance(each, protocol.Ship)] == [
        False,
        True,
    ]
    assert rows.there["a", b"\x02" * 16, 1] == b"mine"


def test_what_cannot_be_stored_is_said_and_stored_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records_shipping, "TURN_SECONDS", 0.001)

    async def run() -> None:
        recorder, rows = Recorder(b"one"), Rows()
        rows.away = True
        shipping = carrying(recorder, rows)
        shipping.start()
        while not shipping.problems():
            await asyncio.sleep(0.001)
        assert "It is away." in shipping.problems()
        rows.away = False
        while shipping.problems():
            await asyncio.sleep(0.001)
        assert rows.there["a", OWN, 1] == b"one"
        await shipping.close()

    asyncio.run(run())


def test_a_node_whose_records_are_old_is_behind_until_nobody_awaits_them() -> None:
    recorder, rows = Recorder(), Rows()
    shipping = carrying(recorder, rows)
    now = time.time()
    for until, behind in ((now - 10, False), (now - 60, True), (now - 9 * 86_400, False)):
        recorder.other = protocol.Place("b", OTHER, 3, False, "bee", until)
        asyncio.run(shipping.turn())
        expected = (RecordsBehind(node="bee", until=until),) if behind else ()
        assert shipping.behind() == expected


def test_a_doubt_is_told_for_a_day_and_kept_with_the_journal() -> None:
    recorder, rows = Recorder(), Rows()
    shipping = carrying(recorder, rows)
    now = time.time()
    for at, told in ((now, True), (now - 2 * 86_400, False)):
        recorder.other = protocol.Place("b", OTHER, 3, False, "bee", now, 7, "it went back", at)
        asyncio.run(shipping.turn())
        assert ("bee: it went back." in shipping.problems()) is told
        [journal] = shipping.journals()
        assert (journal.node, journal.entries, journal.problem) == ("bee", 7, "it went back")
