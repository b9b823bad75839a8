"""Reading along: in order, none left out, as it is kept; and what a reader may tell."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import msgspec
import pytest

from casemate.child.calls import Reply, decode_reply, encode, framed
from casemate.child.frames import FrameBuffer
from casemate.model.facts import SignedIn
from casemate.model.response_facts import Finding
from casemate.recorder import reading_protocol as protocol
from casemate.recorder.protocol import Told
from casemate.recorder.reading import MAX_READERS
from casemate.recorder.reading_protocol import Batch, Follow, Tell
from support.monitor import Journal, running
from support.waiting import until

FINDING = Finding(
    at=1.0, finding="f1", rule="r", level="high", title="t", entity="e", events=(), techniques=()
)


class Reader:
    """One end of a connection, as the monitor has it."""

    def __init__(self, journal: Journal) -> None:
        self.sock = journal.reader()
        self.sock.setblocking(False)
        self.frames = FrameBuffer(8 << 20)
        self.number = 0

    async def ask(self, message: msgspec.Struct) -> Reply:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.sock, framed(message))
        while True:
            data = await asyncio.wait_for(loop.sock_recv(self.sock, 65536), 10)
            if not data:
                raise EOFError
            for body in self.frames.feed(data):
                return decode_reply(body)

    async def follow(self, after: int, *, wait: bool = False) -> Batch:
        self.number += 1
        answer = await self.ask(Follow(self.number, after, wait))
        assert answer.failure is None
        return msgspec.msgpack.decode(answer.result, type=Batch)


def signed_in(n: int) -> SignedIn:
    return SignedIn(at=float(n), by=f"user:{n}", method="password")


@running
async def test_all_of_it_is_read_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await journal.keep(*(signed_in(n) for n in range(1300)))
    from support.journal import PRIVATE

    journal.writer.checkpoint(PRIVATE.sign)
    await journal.keep(*(signed_in(n) for n in range(1300, 1500)))
    reader, at, names = Reader(journal), 0, []
    while at < 1500:
        batch = await reader.follow(at)
        assert [each.index for each in batch.entries] == list(range(at, batch.next))
        assert 0 < len(batch.entries) <= protocol.MAX_ENTRIES
        names += [msgspec.json.decode(e.event)["actor"]["user"]["name"] for e in batch.entries]
        at = batch.next
    assert names == [f"user:{n}" for n in range(1500)]
    assert batch.size == 1500
    journal.close()


@running
async def test_what_is_kept_reaches_who_waits_at_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    reader = Reader(journal)
    waiting = asyncio.ensure_future(reader.follow(0, wait=True))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    began = time.monotonic()
    await journal.keep(signed_in(1))
    batch = await waiting
    assert time.monotonic() - began < 5
    assert batch.entries[0].id == f"{journal.session.hex()}-0"
    journal.close()


@running
async def test_who_waits_is_not_woken_where_nothing_is_new(tmp_path: Path) -> None:
    """What calls leave behind is kept twenty times a second, and is no entry of the journal."""
    journal = Journal(tmp_path)
    await journal.keep(signed_in(1))
    waiting = asyncio.ensure_future(Reader(journal).follow(1, wait=True))
    await asyncio.sleep(0.05)
    journal.readers.wake()
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await journal.keep(signed_in(2))
    assert [each.index for each in (await waiting).entries] == [1]
    journal.close()


@running
async def test_who_waits_for_nothing_is_answered_in_time(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocol, "WAIT_SECONDS", 0.05)
        journal = Journal(tmp_path)
        batch = await Reader(journal).follow(0, wait=True)
        assert (batch.entries, batch.next, batch.size) == ((), 0, 0)
        ahead = await Reader(journal).follow(99, wait=True)
        assert (ahead.next, ahead.size) == (99, 0)
        journal.close()


@running
async def test_an_entry_whose_key_is_gone_is_there_and_empty(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await journal.keep(signed_in(1))
    journal.keys._by_id.clear()
    journal.keys._named.clear()
    [entry] = (await Reader(journal).follow(0)).entries
    assert entry.event == b"" and entry.id
    journal.close()


@running
async def test_a_reader_s_facts_are_kept_under_a_session_of_the_recorder_s(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await journal.keep(signed_in(1))
    reader = Reader(journal)
    told = Told("Finding", msgspec.msgpack.encode(FINDING))
    assert (await reader.ask(Tell(1, (told,)))).failure is None
    batch = await reader.follow(0)
    event = msgspec.json.decode(batch.entries[1].event)
    assert event["metadata"]["event_code"] == "Finding"
    assert event["severity_id"] == 4
    assert not batch.entries[1].id.startswith(journal.session.hex())
    # The gateway's own go on.
    await journal.keep(signed_in(2))
    assert journal.writer.size == 3
    journal.close()


async def _ends(reader: Reader, message: bytes) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(reader.sock, message)
    assert await asyncio.wait_for(loop.sock_recv(reader.sock, 10), 5) == b""


@running
async def test_what_is_not_a_reader_s_to_tell_ends_its_connection_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    fact = msgspec.msgpack.encode(signed_in(1))
    own = msgspec.msgpack.encode(FINDING)
    other = Reader(journal)
    for told in (Told("SignedIn", fact), Told("Finding", fact), Told("Finding", b"\xc1")):
        await _ends(Reader(journal), framed(Tell(1, (told,))))
    await _ends(Reader(journal), b"\0\0\0\2\xff\xff")
    await _ends(Reader(journal), b"\xff\xff\xff\xff")
    many = framed(Tell(1, (Told("Finding", own),))) * 2
    reader = Reader(journal)
    reader.sock.send(many)
    await until(lambda: len(journal.readers._readers) < 2 or reader.sock.fileno() < 0)
    assert (await Reader(journal).follow(0)).next >= 0
    other.sock.close()
    journal.close()


@running
async def test_one_question_at_a_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    reader = Reader(journal)
    await _ends(reader, framed(Follow(1, 0, True)) + framed(Follow(2, 0, True)))
    journal.close()


@running
async def test_readers_are_few_and_the_newest_are_served(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await journal.keep(signed_in(1))
    first = Reader(journal)
    others = [Reader(journal) for _ in range(MAX_READERS)]
    await asyncio.sleep(0.05)
    assert first.sock.recv(10) == b""
    for each in others:
        assert (await each.follow(0)).size == 1
    journal.close()


def test_an_entry_of_the_journal_travels_as_it_is() -> None:
    batch = Batch((protocol.Seen(3, "a-1", b"{}"),), 4, 5)
    assert msgspec.msgpack.decode(encode(batch), type=Batch) == batch
    left, right = socket.socketpair()
    left.close()
    right.close()
