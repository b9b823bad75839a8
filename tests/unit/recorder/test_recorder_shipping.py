"""What recorders of nodes tell each other: each record once, whoever carries it, and unchanged."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
import random
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from records_samples import (
    KEY,
    Filled,
    denial,
    every,
    failure,
    invocation,
    invocations,
    line,
    lines,
)

from casemate.child.calls import reply
from casemate.journal.note import NoteKey, signed
from casemate.journal.writer import Writer
from casemate.model.errors import NotFoundError
from casemate.model.facts import Fact, NodeJournalSeen, NodeRecordsDoubtful, NodeTold
from casemate.model.usage import Beside, GuardSampled, Passed, Stored, Usage
from casemate.operations.records import ListDenials, ListErrors
from casemate.operations.usage import ReadUsage
from casemate.recorder import ocsf, protocol, shipment, shipping
from casemate.recorder.keeper import Keeper, KeyRing
from casemate.recorder.noted import Noted
from casemate.recorder.protocol import PASSED, SAMPLED, STORED, Take, Told
from casemate.recorder.records import columns, unshipped
from casemate.recorder.records import shipping as rows
from casemate.recorder.records.database import RecordsDatabase
from casemate.recorder.records.errors import RecordsFullError
from casemate.recorder.records.progress import remember
from casemate.recorder.search import Search
from casemate.recorder.shipment import Body, Section, Shipped
from casemate.recorder.shipping import Journal, Shipping
from casemate.recorder.told_events import KINDS
from casemate.vault.interface import DataKey


class Vault:
    """That of one of the nodes that share it."""

    def __init__(self, name: str, erased: set[str]) -> None:
        self.name = name
        self.erased = erased

    async def node(self) -> str:
        return hashlib.sha256(self.name.encode()).hexdigest()[:32]

    async def attest(self, digest: bytes) -> bytes:
        return hmac.digest(b"all", (await self.node()).encode() + digest, "sha256")

    async def is_attested(self, node: str, digest: bytes, code: bytes) -> bool:
        return hmac.compare_digest(hmac.digest(b"all", node.encode() + digest, "sha256"), code)

    async def entry_key(self, project: str, version: int | None = None) -> DataKey:
        if project in self.erased:
            raise NotFoundError("It was erased.")
        return DataKey(version=version or 1, key=hashlib.sha256(project.encode()).digest())


class Node:
    """A recorder's records and journal."""

    def __init__(self, folder: Path, name: str, erased: set[str]) -> None:
        self.name, self.folder = name, folder / name
        (self.folder / "journal").mkdir(parents=True, exist_ok=True)
        self.vault = Vault(name, erased)
        self.private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
        self.key = NoteKey(f"casemate/{name}", self.private.public_key().public_bytes_raw())
        self.facts: list[Fact] = []
        self.n = 0
        self.open()

    def open(self) -> None:
        self.records = RecordsDatabase.open(self.folder, KEY)
        self.writer = Writer(self.folder / "journal", self.key)
        self.filled = Filled(self.records, hashlib.sha256(str(time.time()).encode()).digest()[:8])
        self.shipping = Shipping(
            self.records,
            self.vault,  # type: ignore[arg-type]
            self.journal(self.folder / "journal"),
            self.take,
        )

    def journal(self, folder: Path) -> Journal:
        self.noted = Noted(KINDS, self.writer.size)
        return Journal(folder, self.key, self.writer, self.search(folder), self.noted)

    def search(self, folder: Path) -> Search:
        self.keys = KeyRing(folder, self.vault.entry_key)
        return Search(folder, self.writer, self.keys)

    async def happened(self, *facts: Fact) -> None:
        """Have facts in the journal."""
        await self.keys.load()
        told = tuple(Told(type(one).__name__, msgspec.msgpack.encode(one)) for one in facts)
        keeper = Keeper(self.writer, self.keys, self.noted)
        await keeper.keep([Take(0, bytes(8), self.writer.size, told)])

    def told(self) -> list[NodeTold]:
        return [fact for fact in self.facts if isinstance(fact, NodeTold)]

    def close(self) -> None:
        self.writer.close()
        self.records.close()

    def take(self, told: Take, answer: Callable[[bytes], None]) -> bool:
        self.facts += [ocsf.decode(one.kind, one.fact) for one in told.facts]
        answer(reply(told.n, 0))
        return True

    def doubts(self) -> list[str]:
        return [fact.what for fact in self.facts if isinstance(fact, NodeRecordsDoubtful)]

    def note(self, *entries: bytes) -> None:
        """Have the journal go on."""
        self.writer.append(entries)
        proposal = self.writer.propose()
        assert proposal is not None
        self.writer.publish(proposal, signed(proposal.head.text, self.key, self.private.sign))

    async def used(self, *all_: Beside) -> None:
        kinds = {Passed: PASSED, Stored: STORED, GuardSampled: SAMPLED}
        told = tuple(Told(kinds[type(one)], msgspec.msgpack.encode(one)) for one in all_)
        await self.records.keep(
            [Take(1, hashlib.sha256(str(self.n).encode()).digest()[:8], 0, told)]
        )
        self.n += 1

    async def ship(
        self, stored: tuple[bytes, int] | None = None, *, anew: bool = False
    ) -> protocol.Shipment | None:
        found = await self.shipping.result(protocol.Ship(1, self.name, stored, anew))
        if found is None:
            return None
        assert isinstance(found, protocol.Shipment)
        self.more = found.more
        return msgspec.structs.replace(found, more=False)

    async def ship_all(self, stored: tuple[bytes, int] | None = None) -> list[protocol.Shipment]:
        found = []
        while (one := await self.ship(stored)) is not None:
            found.append(one)
            stored = one.stream, one.number
        return found

    async def receive(self, *all_: protocol.Shipment) -> protocol.Place:
        for one in all_:
            place = await self.shipping.result(
                protocol.Receive(1, one.node, one.stream, one.number, one.content)
            )
        assert isinstance(place, protocol.Place)
        return place

    async def usage(self, **asked: Any) -> list[Usage]:
        return await every(self.records, ReadUsage(**asked))


def two(base: Path, run: Callable[[Node, Node], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        erased: set[str] = set()
        one, other = Node(base, "one", erased), Node(base, "other", erased)
        try:
            await run(one, other)
        finally:
            one.close()
            other.close()

    asyncio.run(whole())


def test_what_one_keeps_the_other_shows_with_its_name(tmp_path: Path) -> None:
    async def run(one: Node, other: Node) -> None:
        await one.filled.record(invocation("i1"), failure("e1"), [line("said here")])
        await one.filled.tell(denial(reason="no right"))
        await other.filled.record(invocation("i2"))
        await other.receive(*await one.ship_all())
        await other.ship_all()  # which has it know its own name
        assert {(r.id, r.node) for r in await invocations(other.records)} == {
            ("i1", "one"),
            ("i2", "other"),
        }
        [error] = await every(other.records, ListErrors())
        [denied] = await every(other.records, ListDenials())
        [said] = await lines(other.records)
        assert (error.id, error.node) == ("e1", "one")
        assert (denied.reason, denied.node) == ("no right", "one")
        assert (said.text, said.node) == ("said here", "one")
        found = await lines(other.records, search="SAID")
        assert [each.text for each in found] == ["said here"]
        assert not other.doubts()
        # Neither told on, nor exported as its own.
        given = await other.records.lent("invocations", 0)
        assert [record.id for record in given.rows] == ["i2"]
        again = await other.ship_all()
        assert not again

    two(tmp_path, run)


def test_sums_are_those_of_all_nodes_each_counted_once(tmp_path: Path) -> None:
    async def run(one: Node, other: Node) -> None:
        for number in range(3):
            await one.filled.record(invocation(f"a{number}", run_ms=10.0))
            shipped = await one.ship_all()
            await other.receive(*shipped)
            await other.receive(*shipped)  # told twice
        await other.filled.record(invocation("b", run_ms=5.0))
        await one.used(Passed("demo", "thumbs", 7, 9))
        await one.receive(*await other.ship_all())
        await other.receive(*await one.ship_all())
        for node in (one, other):
            [found] = await node.usage()
            assert (found.requests, found.run_us) == (4, 35_000)
            assert (found.egress_in, found.egress_out) == (7, 9)
        [own] = await other.usage(here=True)
        assert own.requests == 1

    two(tmp_path, run)


def test_samples_of_all_nodes_are_told_beside_columns_that_earlier_releases_know(
    tmp_path: Path,
) -> None:
    async def run(one: Node, other: Node) -> None:
        await one.filled.record(invocation("a"))
        await one.used(GuardSampled("demo", "thumbs", "http", "", "", 5))
        await other.used(GuardSampled("demo", "thumbs", "http", "", "", 7))
        shipped = await one.ship_all()
        await other.receive(*shipped)
        await other.receive(*shipped)
        await one.used(GuardSampled("demo", "thumbs", "http", "", "", 1))
        await other.receive(*await one.ship_all())
        [found] = await other.usage()
        assert (found.guard_sampled, found.guard_us, found.guard_squares) == (3, 13, 75)
        assert not await one.ship_all()  # what was told is not told again

    assert len(rows.USAGE) == 23  # what earlier releases check
    two(tmp_path, run)


def test_bytes_that_are_kept_are_counted_by_one_node_after_the_other(tmp_path: Path) -> None:
    async def run(one: Node, other: Node) -> None:
        clock = [1_800_000_000.0]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "time", lambda: clock[0])
            for node in (one, one, other, one):
                await node.used(Stored("demo", 1000))
                for each, to in ((one, other), (other, one)):
                    await to.receive(*await each.ship_all())
                clock[0] += 3600
            for node in (one, other):
                assert sum(row.byte_hours for row in await node.usage()) == 3000

    two(tmp_path, run)


@pytest.mark.parametrize("when", ["made", "stored", "acknowledged"])
def test_a_kill_at_any_point_neither_loses_nor_doubles(tmp_path: Path, when: str) -> None:
    async def run(one: Node, other: Node) -> None:
        stored: dict[int, protocol.Shipment] = {}
        acknowledged: tuple[bytes, int] | None = None
        for number in range(4):
            await one.filled.record(invocation(f"i{number}"), None, [line(f"l{number}")])
            found = await one.ship(acknowledged)
            assert found is not None
            if when != "made":
                assert stored.setdefault(found.number, found) == found
            if when == "acknowledged":
                await one.ship((found.stream, found.number))
            one.close()
            one.open()
            acknowledged = None
        for found in await one.ship_all():
            assert stored.setdefault(found.number, found) == found
        await other.receive(*(stored[number] for number in sorted(stored)))
        assert sorted(r.id for r in await invocations(other.records)) == ["i0", "i1", "i2", "i3"]
        assert len(await lines(other.records)) == 4
        assert not other.doubts()

    two(tmp_path, run)


@pytest.mark.parametrize("step", ["outgoing", "claim", "attest", "entry_key"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_kill_or_a_full_disk_between_any_two_steps_neither_loses_nor_doubles(
    tmp_path: Path, step: str, *, after: bool
) -> None:
    """What is asked fails, before or after it was done: at random with a kill, or a later try."""

    async def run(one: Node, other: Node) -> None:
        draw = random.Random(f"{step} {after}")
        stored: dict[tuple[bytes, int], protocol.Shipment] = {}
        acknowledged: tuple[bytes, int] | None = None
        for number in range(12):
            await one.filled.record(invocation(f"i{number}"), None, [line(f"l{number}")])
            await one.filled.tell(denial(reason=f"d{number}"))
            owner = one.records if step in ("outgoing", "claim") else one.vault
            broken = getattr(owner, step)

            async def fail(*values: Any, call: Any = broken, **named: Any) -> None:
                if after:
                    await call(*values, **named)
                raise RecordsFullError

            if draw.random() < 0.6:
                with pytest.MonkeyPatch.context() as patch, pytest.raises(RecordsFullError):
                    patch.setattr(owner, step, fail)
                    await one.ship(acknowledged)
                    raise RecordsFullError  # what waited was given without that step
                if draw.random() < 0.5:
                    one.close()
                    one.open()
            if (found := await one.ship(acknowledged)) is not None:
                acknowledged = found.stream, found.number
                assert stored.setdefault(acknowledged, found) == found
        for found in await one.ship_all(acknowledged):
            assert stored.setdefault((found.stream, found.number), found) == found
        await other.receive(*(stored[key] for key in sorted(stored)))
        expected = [f"i{number}" for number in range(12)]
        assert [r.id for r in await invocations(other.records)][::-1] == expected
        assert [each.text for each in await lines(other.records)] == [f"l{n}" for n in range(12)]
        denied = await every(other.records, ListDenials())
        assert sorted(each.reason for each in denied) == sorted(f"d{n}" for n in range(12))
        [use] = await other.usage()
        assert use.requests == 12
        assert not other.doubts()

    two(tmp_path, run)


def test_what_is_told_is_what_was_inserted_and_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    select = rows._read

    def counted(connection: Any, table: str, *rest: Any) -> Any:
        read.append(table)
        return select(connection, table, *rest)

    monkeypatch.setattr(rows, "_read", counted)

    async def run(one: Node, other: Node) -> None:
        await one.ship_all()  # from here on what is kept is at hand
        await one.filled.record(invocation("first"), None, [line("first")])
        shipped = await one.ship_all()
        read.clear()
        for number in range(5):
            await one.filled.record(invocation(f"i{number}"), None, [line("said é")])
            shipped += await one.ship_all((shipped[-1].stream, shipped[-1].number))
        assert not {"invocation", "log_line"} & set(read)
        await other.receive(*shipped)
        theirs = [msgspec.structs.replace(r, node="") for r in await invocations(other.records)]
        assert theirs == [
            msgspec.structs.replace(r, node="") for r in await invocations(one.records)
        ]
        assert len(await lines(other.records)) == 6

    two(tmp_path, run)


def test_what_waited_while_nothing_could_be_stored_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is away for minutes: memory is bounded, and nothing is lost."""
    monkeypatch.setattr(unshipped, "MAX_ROWS", 10)
    monkeypatch.setattr(rows, "MAX_ROWS", 7)

    async def run(one: Node, other: Node) -> None:
        first = await one.ship()
        for number in range(60):
            await one.filled.record(invocation(f"i{number}"), None, [line(f"l{number}")])
            assert await one.ship() == first, "the same batch, until it is stored"
        kept = one.records._duties.unshipped._tables
        assert all(table.rows <= 10 for table in kept.values())
        assert first is not None
        shipped = [first, *await one.ship_all((first.stream, first.number))]
        await other.receive(*shipped)
        found = [r.id for r in await invocations(other.records)]
        assert found[::-1] == [f"i{number}" for number in range(60)]
        assert len(await lines(other.records)) == 60
        assert not other.doubts()

    two(tmp_path, run)


def test_what_waits_when_a_node_was_put_back_is_told_under_another_stream(tmp_path: Path) -> None:
    async def run(one: Node, other: Node) -> None:
        await one.filled.record(invocation("i1"))
        await one.filled.record(invocation("i2", project="gone"))
        finding = NodeJournalSeen(at=1.0, node="x", origin="x", size=1, root="00")
        await one.happened(finding)
        before = await one.ship()
        assert before is not None
        one.vault.erased.add("gone")
        one.close()
        one.open()
        after = await one.ship(anew=True)
        assert after is not None
        assert after.stream != before.stream
        assert after.number == 1
        one.close()
        one.open()
        assert await one.ship() == after
        await one.filled.record(invocation("i3"))
        await other.receive(after, *await one.ship_all((after.stream, after.number)))
        assert sorted(r.id for r in await invocations(other.records)) == ["i1", "i3"]
        assert not other.doubts()

    two(tmp_path, run)


def test_a_batch_that_is_too_large_is_made_with_fewer_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "MAX_SHIPPED_BYTES", 4096)

    async def run(one: Node, other: Node) -> None:
        for number in range(100):
            await one.filled.record(invocation(f"i{number}", caller=f"{number}" + "€" * 80))
        shipped = await one.ship_all()
        assert len(shipped) > 3
        assert all(len(each.content) <= 4096 for each in shipped)
        await other.receive(*shipped)
        assert len(await invocations(other.records)) == 100

    two(tmp_path, run)


def test_a_recorder_that_was_broken_into_fills_no_memory_of_another(tmp_path: Path) -> None:
    """A small batch of many sections, each of which says that it has many rows."""

    async def run(one: Node, other: Node) -> None:
        await one.filled.record(invocation("i1"))
        [first] = await one.ship_all()
        await other.receive(first)
        node, digest = (
            await one.vault.node(),
            shipment.digest_of(msgspec.msgpack.decode(first.content, type=Shipped).body),
        )
        full = columns.Columns(columns.MAX_ROWS, tuple(range(32)))
        text = msgspec.msgpack.encode(columns.Tables({}, {f"t{n}": full for n in range(3)}))
        place, key = (node, first.stream, 2), (await one.vault.entry_key("demo")).key
        section = Section("demo", 1, shipment.seal(key, place, "demo", text))
        body = msgspec.msgpack.encode(
            Body(*place, digest, 1.0, 2.0, 2.0, "one", "", "", 0, (), (section,) * 200)
        )
        code = await one.vault.attest(shipment.digest_of(body))
        content = msgspec.msgpack.encode(Shipped(body, code))
        opened: list[int] = []
        with pytest.MonkeyPatch.context() as patch:
            to_rows = columns.to_rows
            patch.setattr(columns, "to_rows", lambda c: opened.append(c.rows) or to_rows(c))
            await other.receive(msgspec.structs.replace(first, number=2, content=content))
        assert sum(opened) * 32 <= columns.MAX_VALUES
        assert other.doubts() == ["batch 2 has records that cannot be opened"]

    two(tmp_path, run)


async def forged(
    one: Node, last: protocol.Shipment, tables: dict[str, list[tuple[Any, ...]]]
) -> protocol.Shipment:
    """Return the next batch of a node whose recorder was broken into."""
    node, key = await one.vault.node(), (await one.vault.entry_key("demo")).key
    before = shipment.digest_of(msgspec.msgpack.decode(last.content, type=Shipped).body)
    place = (node, last.stream, last.number + 1)
    text = msgspec.msgpack.encode(columns.Tables(tables, {}))
    section = Section("demo", 1, shipment.seal(key, place, "demo", text))
    body = msgspec.msgpack.encode(
        Body(*place, before, 1.0, 2.0, 2.0, "one", "", "", 0, (), (section,))
    )
    code = await one.vault.attest(shipment.digest_of(body))
    content = msgspec.msgpack.encode(Shipped(body, code))
    return msgspec.structs.replace(last, number=last.number + 1, content=content)


@pytest.mark.parametrize("table", [*rows.NAMES, "bounds", "usage", "sampled", "stored"])
@pytest.mark.parametrize("row", [(), ("demo",), (math.inf,) * 4, (2**63,) * 3, (None,) * 30])
def test_rows_that_are_none_are_passed_over(
    tmp_path: Path, table: str, row: tuple[Any, ...]
) -> None:
    """They are read once, and what follows is read: before, the same batch for ever."""

    async def run(one: Node, other: Node) -> None:
        await one.filled.record(invocation("i1"))
        [first] = await one.ship_all()
        await other.receive(first)
        wrong = await forged(one, first, {table: [row]})
        assert (await other.receive(wrong)).number == 2
        assert other.doubts() == ["the rows of batch 2 cannot be kept"]
        right = await forged(one, wrong, {"stored": [("demo", 1)]})
        assert (await other.receive(right)).number == 3
        assert len(other.doubts()) == 1

    two(tmp_path, run)


def test_what_another_node_says_of_times_to_come_stops_no_counting(tmp_path: Path) -> None:
    async def run(one: Node, other: Node) -> None:
        clock = [1_800_000_000.0]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "time", lambda: clock[0])
            await one.filled.record(invocation("i1"))
            [last] = await one.ship_all()
            await other.receive(last)
            for _ in range(3):
                last = await forged(one, last, {"stored": [("demo", 1 << 40)]})
                await other.receive(last)
                clock[0] += 3600
                await other.used(Stored("demo", 1000))
            assert sum(row.byte_hours for row in await other.usage()) == 3000
            await other.receive(await forged(one, last, {"stored": [("d" * 64, 1)]}))
            assert other.doubts() == ["the rows of batch 5 cannot be kept"]

    two(tmp_path, run)


def test_a_batch_that_was_claimed_by_a_release_before_is_told(tmp_path: Path) -> None:
    async def run(one: Node, other: Node) -> None:
        await one.filled.record(invocation("i1"))
        found = await one.records.outgoing("one", await one.vault.node(), told=False, most=10)
        assert found is not None
        draft = found.draft
        assert draft is not None
        parts: dict[str, dict[str, Any]] = {}
        for project, tables in draft.parts.items():
            for table, values in tables.items():
                parts.setdefault(table, {})[project] = values
        text = msgspec.msgpack.encode((*draft[:6], parts, draft.proof_of, 0))

        def claimed(connection: Any) -> None:
            connection.execute("UPDATE shipment SET number = 1, draft = ?", (text,))
            for place, last in draft.places.items():
                remember(connection, place, last)

        await one.records._writer.submit(claimed)
        one.close()
        one.open()
        await one.filled.record(invocation("i2"))
        await other.receive(*await one.ship_all())
        assert sorted(r.id for r in await invocations(other.records)) == ["i1", "i2"]
        assert not other.doubts()

    two(tmp_path, run)


def test_a_reader_that_is_killed_reads_each_once(tmp_path: Path) -> None:
    async def run(one: Node, other: Node) -> None:
        shipped = []
        for number in range(3):
            await one.filled.record(invocation(f"i{number}"))
            shipped += await one.ship_all()
        for count in range(1, 4):
            await other.receive(*shipped[:count])
            other.close()
            other.open()
        assert sorted(r.id for r in await invocations(other.records)) == ["i0", "i1", "i2"]

    two(tmp_path, run)


async def _three(one: Node) -> list[protocol.Shipment]:
    shipped = []
    for number in range(3):
        await one.filled.record(invocation(f"i{number}"))
        shipped += await one.ship_all()
    assert [each.number for each in shipped] == [1, 2, 3]
    return shipped


def _changed(one: protocol.Shipment, at: int) -> protocol.Shipment:
    content = bytearray(one.content)
    content[at] ^= 1
    return msgspec.structs.replace(one, content=bytes(content))


def _reorder(all_: list[protocol.Shipment]) -> list[protocol.Shipment]:
    first, second, third = all_
    swap = msgspec.structs.replace
    return [first, swap(second, content=third.content), swap(third, content=second.content)]


@pytest.mark.parametrize(
    ("attack", "doubt"),
    [
        (lambda s: [s[0], s[2]], "its batches 2 to 2 are missing"),
        (lambda s: [s[0], _changed(s[1], -1), s[2]], "batch 2 is not what it has stored"),
        (lambda s: [s[0], _changed(s[1], 60), s[2]], "batch 2 is not what it has stored"),
        (_reorder, "batch 2 is not what it has stored"),
        (
            lambda s: [s[0], msgspec.structs.replace(s[0], number=2), s[2]],
            "batch 2 is not what it has stored",
        ),
        (lambda s: s[1:], "its batches 1 to 1 are missing"),
        (
            lambda s: [*s, msgspec.structs.replace(s[0], stream=b"\xff" * 16)],
            "batch 1 is not what it has stored",
        ),
    ],
    ids=["removed", "code", "changed", "reordered", "repeated", "beginning", "made up"],
)
def test_what_who_keeps_the_batches_does_to_them_is_found(
    tmp_path: Path, attack: Callable[[list[protocol.Shipment]], Any], doubt: str
) -> None:
    async def run(one: Node, other: Node) -> None:
        shipped = await _three(one)
        await other.receive(*attack(shipped))
        assert any(doubt in each for each in other.doubts()), other.doubts()
        # What is whole is read nevertheless, and what comes later.
        await one.filled.record(invocation("later"))
        await other.receive(*await one.ship_all())
        assert "later" in {r.id for r in await invocations(other.records)}
        ids = [r.id for r in await invocations(other.records)]
        assert len(ids) == len(set(ids))

    two(tmp_path, run)


def test_batches_are_of_the_node_that_made_them_and_nobody_else_s(tmp_path: Path) -> None:
    """A broken gateway has the recorder read what its own node made as another's."""

    async def run(one: Node, other: Node) -> None:
        [mine] = (await _three(other))[:1]
        [theirs] = (await _three(one))[:1]
        await other.receive(theirs)
        body = msgspec.msgpack.decode(
            msgspec.msgpack.decode(mine.content, type=Shipped).body, type=Body
        )
        forged = msgspec.msgpack.encode(
            msgspec.structs.replace(body, node=theirs.node, stream=theirs.stream, number=2)
        )
        code = await other.vault.attest(hashlib.sha256(forged).digest())
        content = msgspec.msgpack.encode(Shipped(forged, code))
        await other.receive(msgspec.structs.replace(theirs, number=2, content=content))
        assert other.doubts()
        assert {r.id for r in await invocations(other.records) if r.node == "one"} == {"i0"}

    two(tmp_path, run)


def test_the_batches_tell_nothing_of_what_is_in_them(tmp_path: Path) -> None:
    async def run(one: Node, _: Node) -> None:
        await one.filled.record(invocation("secret-id"), failure(), [line("secret text")])
        await one.filled.tell(denial(reason="secret reason"))
        for shipped in await one.ship_all():
            assert b"secret" not in shipped.content
            assert b"thumbs" not in shipped.content

    two(tmp_path, run)


def test_of_an_erased_project_nothing_can_be_read_any_more(tmp_path: Path) -> None:
    async def run(one: Node, other: Node) -> None:
        await one.filled.record(invocation("i1"))
        await one.filled.record(invocation("i2", project="kept"))
        shipped = await one.ship_all()
        one.vault.erased.add("demo")
        await other.receive(*shipped)
        assert [r.id for r in await invocations(other.records)] == ["i2"]
        assert not other.doubts()

    two(tmp_path, run)


def test_a_journal_that_goes_on_is_seen_and_one_that_went_back_is_found(tmp_path: Path) -> None:
    async def run(one: Node, other: Node) -> None:
        one.note(b"a", b"b")
        await one.filled.record(invocation("i1"))
        await other.receive(*await one.ship_all())
        [seen] = [fact for fact in other.facts if isinstance(fact, NodeJournalSeen)]
        assert (seen.node, seen.size, seen.root) == ("one", 2, one.writer.head.root.hex())
        one.note(b"c")
        await one.filled.record(invocation("i2"))
        await other.receive(*await one.ship_all())
        assert not other.doubts()

        async def put_back(*entries: bytes) -> None:
            """Have a journal with these entries in the place of the one that was."""
            one.writer.close()
            folder = one.folder / f"journal-{len(entries)}"
            folder.mkdir()
            one.writer = Writer(folder, one.key)
            one.shipping._journal = one.journal(folder)
            one.note(*entries)
            await one.filled.record(invocation(f"i{len(entries)}"))
            await other.receive(*await one.ship_all())

        await put_back(b"a")
        assert other.doubts() == ["its journal went back from 3 entries to 1"]
        other.facts.clear()
        # As long as it was, and longer: the proof that it goes on is missing.
        await put_back(b"a", b"x", b"y", b"z")
        assert not other.doubts(), "it goes on from the shorter one, which was told of"

    two(tmp_path, run)


def test_a_journal_that_was_rewritten_and_is_longer_is_found(tmp_path: Path) -> None:
    async def run(one: Node, other: Node) -> None:
        one.note(b"a", b"b")
        await one.filled.record(invocation("i1"))
        await other.receive(*await one.ship_all())
        one.writer.close()
        folder = one.folder / "new"
        folder.mkdir()
        one.writer = Writer(folder, one.key)
        one.shipping._journal = one.journal(folder)
        one.note(b"a", b"B", b"c")
        await one.filled.record(invocation("i2"))
        await other.receive(*await one.ship_all())
        assert other.doubts() == ["its journal is not the one that had 2 entries"]

    two(tmp_path, run)


def test_a_node_that_was_put_back_begins_anew_and_is_told_of(tmp_path: Path) -> None:
    async def run(one: Node, other: Node) -> None:
        shipped = await _three(one)
        await other.receive(*shipped)
        one.close()
        for name in ("records.db", "records.db-wal", "records.db-shm"):
            (one.folder / name).unlink(missing_ok=True)
        one.open()
        await one.filled.record(invocation("after"))
        found = await one.ship()
        assert found is not None
        # Under a stream of its own already, as all was lost; with a copy it is asked to.
        await one.ship(anew=True)
        await other.receive(*await one.ship_all())
        assert "it has begun its records anew" in other.doubts()
        assert one.doubts()

    two(tmp_path, run)


def test_a_flood_is_told_in_bounded_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "MAX_ROWS", 10)

    async def run(one: Node, other: Node) -> None:
        for number in range(35):
            await one.filled.record(invocation(f"i{number}"))
        begun = await one.ship()
        assert begun is not None
        assert one.more, "the next one is asked for at once"
        shipped = [begun, *await one.ship_all((begun.stream, begun.number))]
        assert len(shipped) >= 4
        assert not one.more
        first = msgspec.msgpack.decode(
            msgspec.msgpack.decode(shipped[0].content, type=Shipped).body, type=Body
        )
        assert first.until < first.made_at, "what is not in it is not said to be"
        await other.receive(*shipped)
        assert len(await invocations(other.records)) == 35

    two(tmp_path, run)


def test_a_node_that_was_away_for_long_goes_on_with_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(one: Node, other: Node) -> None:
        shipped = await _three(one)
        await other.receive(shipped[0])
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + shipping.KEPT_SECONDS)
        await other.receive(shipped[2])
        assert not other.doubts()
        assert {r.id for r in await invocations(other.records)} == {"i0", "i2"}

    two(tmp_path, run)
