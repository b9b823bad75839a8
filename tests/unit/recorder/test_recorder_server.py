"""The recorder's loop: what the gateway may tell, and that readers are served beside it."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest

from casemate.child.calls import decode_reply, framed
from casemate.child.frames import FrameBuffer
from casemate.journal.writer import Writer
from casemate.model.facts import (
    AlertFailed,
    AlertSent,
    Fact,
    Finding,
    JournalRestored,
    RecordsForgotten,
    SignedIn,
)
from casemate.recorder.outstanding import Outstanding
from casemate.recorder.protocol import ShareOutstanding, Take, Told
from casemate.recorder.reading_protocol import Batch, Follow
from casemate.recorder.server import Recorder
from support.journal import KEY, PRIVATE
from support.monitor import Journal, running

SIGNED_IN = SignedIn(at=1.0, by="user:ada", method="password")
MONITOR_S: list[Fact] = [
    Finding(at=1.0, finding="f", rule="r", level="high", title="", entity="", events=(),
            techniques=()),
    AlertSent(at=1.0, channel="pager", findings=("f",)),
    AlertFailed(at=1.0, channel="pager", findings=("f",), reason="none"),
]  # fmt: skip


RESTORED = JournalRestored(at=1.0, made_at=1.0, entries=1, archive="a" * 64)
FORGOTTEN = RecordsForgotten(at=1.0, project="p", record="log_line", count=1, total=1)


class Vault:
    """Signs heads; is there for as long as the test."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def sign_head(self, text: str) -> bytes:
        return PRIVATE.sign(text.encode())


class Records:
    """Keeps no records."""

    async def keep(self, _batches: list[Take]) -> int:
        return 0

    async def close(self) -> None:
        return


def told(fact: Fact) -> Told:
    return Told(type(fact).__name__, msgspec.msgpack.encode(fact))


class World:
    """A recorder on two connections, without its process."""

    def __init__(self, folder: Path, *, lends_records: bool = False) -> None:
        self.journal = Journal(folder)
        vault: Any = Vault()
        records: Any = Records()
        journal = self.journal
        self.recorder = Recorder(
            folder,
            journal.writer,
            KEY,
            journal.keys,
            journal.keeper,
            vault,
            records,
            lends_records=lends_records,
        )
        self.gateway, theirs = socket.socketpair()
        self.gateway.setblocking(False)
        self.task = asyncio.ensure_future(self.recorder.serve(theirs))

    async def begin(self) -> World:
        await self.journal.keys.load()
        await asyncio.sleep(0)
        return self

    async def answer(self, sock: socket.socket) -> Any:
        loop = asyncio.get_running_loop()
        frames = FrameBuffer(8 << 20)
        while data := await asyncio.wait_for(loop.sock_recv(sock, 65536), 10):
            for body in frames.feed(data):
                return decode_reply(body)
        return None

    async def close(self) -> None:
        self.gateway.close()
        await self.task


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
        assert world.journal.writer.size == 0
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


@running
async def test_what_has_come_and_what_was_not_told_is_kept_once_the_gateway_is_gone(
    tmp_path: Path,
) -> None:
    world = await World(tmp_path).begin()
    memory, session = Outstanding(), b"12345678"
    share = [framed(ShareOutstanding(1, session))]
    socket.send_fds(world.gateway, share, [memory.descriptor, memory.life])
    await asyncio.sleep(0.05)
    memory.put(told(SIGNED_IN), 0)  # a message brings it, too: it is known by its number
    world.gateway.send(framed(Take(2, session, 0, (told(SIGNED_IN),))))
    memory.put(told(SIGNED_IN), 1)
    memory.put(Told("SignedIn", b"\xc1"), 2)  # is no fact, and takes no other along
    memory.put(told(SIGNED_IN))
    memory.close()
    await world.close()
    found = Writer(tmp_path, KEY)
    assert found.size == 3
    found.close()


@running
async def test_a_gateway_that_lives_tells_it_itself(tmp_path: Path) -> None:
    world = await World(tmp_path).begin()
    memory = Outstanding()
    share = [framed(ShareOutstanding(1, b"12345678"))]
    socket.send_fds(world.gateway, share, [memory.descriptor, memory.life])
    await asyncio.sleep(0.05)
    memory.put(told(SIGNED_IN), 0)
    await world.close()
    found = Writer(tmp_path, KEY)
    assert found.size == 0
    found.close()
    memory.close()
