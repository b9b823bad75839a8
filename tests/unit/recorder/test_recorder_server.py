"""The recorder's loop: what the gateway may tell, and that readers are served beside it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
from pathlib import Path

import msgspec
import pytest

from casemate.child.calls import framed
from casemate.journal.errors import JournalWriteError
from casemate.journal.writer import Writer
from casemate.model.facts import Fact, JournalRestored, RecordsForgotten, SignedIn
from casemate.model.response_facts import AlertFailed, AlertSent, Finding
from casemate.recorder import outstanding
from casemate.recorder.protocol import Take
from casemate.recorder.reading_protocol import Batch, Follow
from casemate.recorder.records.errors import RecordsUnsureError
from support.journal import KEY
from support.monitor import running
from support.outstanding import OtherGateway, new_memory
from support.recorder_world import World, told

SIGNED_IN = SignedIn(at=1.0, by="user:ada", method="password")
MONITOR_S: list[Fact] = [
    Finding(at=1.0, finding="f", rule="r", level="high", title="", entity="", events=(),
            techniques=()),
    AlertSent(at=1.0, channel="pager", findings=("f",)),
    AlertFailed(at=1.0, channel="pager", findings=("f",), reason="none"),
]  # fmt: skip


RESTORED = JournalRestored(at=1.0, made_at=1.0, entries=1, archive="a" * 64)
FORGOTTEN = RecordsForgotten(at=1.0, project="p", record="log_line", count=1, total=1)


@pytest.mark.parametrize(
    "fact", [*MONITOR_S, RESTORED, FORGOTTEN], ids=lambda each: type(each).__name__
)
def test_the_gateway_cannot_tell_what_is_the_monitor_s_or_the_recorder_s(
    tmp_path: Path, fact: Fact
) -> None:
    async def run() -> None:
        world = await World(tmp_path).begin()
        world.gateway.send(framed(Take(1, bytes(8), 0, (told(SIGNED_IN), told(fact)))))
        assert await world.answer(world.gateway) is None, "its connection is closed"
        assert world.journal.writer.size == 1, "that it came, and nothing of it"
        await world.close()

    asyncio.run(run())


@running
async def test_what_the_gateway_tells_reaches_who_reads_along(tmp_path: Path) -> None:
    world = await World(tmp_path).begin()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    world.recorder.readers.accept(theirs)
    ours.send(framed(Follow(7, 0, True)))
    world.gateway.send(framed(Take(1, bytes(8), 0, (told(SIGNED_IN),))))
    assert (await world.answer(world.gateway)).failure is None
    read = await world.answer(ours)
    [entry] = msgspec.msgpack.decode(read.result, type=Batch).entries
    assert b"user:ada" in entry.event
    await world.close()
    assert await world.answer(ours) is None, "readers end with the recorder"
    ours.close()


SESSION = b"12345678"


def packed(fact: Fact) -> tuple[str, bytes]:
    return type(fact).__name__, msgspec.msgpack.encode(fact)


def entries(folder: Path) -> int:
    found = Writer(folder, KEY)
    try:
        return found.size
    finally:
        found.close()


@running
async def test_what_has_come_and_what_was_not_told_is_kept_once_the_gateway_is_gone(
    tmp_path: Path,
) -> None:
    memory = new_memory()
    with OtherGateway(memory, SESSION) as gateway:
        world = await World(tmp_path, memories=[os.dup(memory)]).begin()
        gateway.put(*packed(SIGNED_IN), 0)  # a message brings it, too: it is known by its number
        world.gateway.send(framed(Take(2, SESSION, 0, (told(SIGNED_IN),))))
        gateway.put(*packed(SIGNED_IN), 1)
        gateway.put("SignedIn", b"\xc1", 2)  # is no fact, and takes no other along
        for each in (*MONITOR_S, RESTORED):  # are not the gateway's to tell
            gateway.put(*packed(each), 3)
        gateway.put(*packed(SIGNED_IN))
    await world.close()
    assert entries(tmp_path) == 3 and not outstanding.is_memory(memory)
    os.close(memory)


@running
async def test_a_gateway_that_lives_tells_it_itself(tmp_path: Path) -> None:
    memory = new_memory()
    with OtherGateway(memory, SESSION) as gateway:
        world = await World(tmp_path, memories=[os.dup(memory)]).begin()
        gateway.put(*packed(SIGNED_IN), 0)
        await world.close()
        assert entries(tmp_path) == 0 and outstanding.is_memory(memory)
    os.close(memory)


@running
async def test_what_no_recorder_was_left_to_keep_the_next_one_keeps_once(tmp_path: Path) -> None:
    """Of a gateway killed while it had no recorder, by one that is killed before it has said so."""
    memory = new_memory()
    with OtherGateway(memory, SESSION) as gateway:
        world = await World(tmp_path / "a", memories=[os.dup(memory)]).begin()
        gateway.put(*packed(SIGNED_IN), 0)
        gateway.put(*packed(SIGNED_IN))
        await world.close()
    was = os.pread(memory, outstanding.SIZE, 0)
    for _ in range(2):
        os.pwrite(memory, was, 0)
        world = await World(tmp_path / "a", memories=[os.dup(memory)]).begin()
        assert world.journal.writer.size == 2 and not outstanding.is_memory(memory)
        await world.close()
    os.close(memory)


@running
async def test_of_another_journal_nothing_is_kept(tmp_path: Path) -> None:
    """As where a folder was put in the place of another one."""
    memory = new_memory()
    with OtherGateway(memory, SESSION) as gateway:
        gateway.put(*packed(SIGNED_IN), 0)
    outstanding.mark(memory, b"0" * 16)
    world = await World(tmp_path, memories=[os.dup(memory)]).begin()
    await world.close()
    assert entries(tmp_path) == 0 and not outstanding.is_memory(memory)
    os.close(memory)


@running
async def test_what_cannot_be_kept_now_waits_and_the_recorder_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = new_memory()
    with OtherGateway(memory, SESSION) as gateway:
        world = await World(tmp_path, memories=[os.dup(memory)]).begin()
        gateway.put(*packed(SIGNED_IN), 0)
        await world.close()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        world = World(tmp_path, memories=[os.dup(memory)])
        with pytest.raises(JournalWriteError):
            await world.begin()
        await world.close()
    assert outstanding.is_memory(memory)
    world = await World(tmp_path, memories=[os.dup(memory)]).begin()
    await world.close()
    assert entries(tmp_path) == 1 and not outstanding.is_memory(memory)
    os.close(memory)


@running
async def test_of_two_places_that_fail_the_log_has_both_and_asyncio_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def unsure(*_: object) -> int:
        raise RecordsUnsureError("disk I/O error")

    async def failing(*_: object) -> None:
        await asyncio.sleep(0)
        raise JournalWriteError("No space left on device")

    world = await World(tmp_path).begin()
    monkeypatch.setattr(world.recorder._records, "keep", unsure)
    monkeypatch.setattr(world.journal.keeper, "keep", failing)
    with caplog.at_level(logging.ERROR):
        world.gateway.send(framed(Take(1, bytes(8), 0, (told(SIGNED_IN),))))
        failure = (await world.answer(world.gateway)).failure
        await world.close()
        gc.collect()
    assert failure is not None and "No space left" in failure.message
    said = [record.getMessage() for record in caplog.records]
    assert [text for text in said if "disk I/O error" in text and "either" in text]
    assert not [record for record in caplog.records if record.name == "asyncio"], said
