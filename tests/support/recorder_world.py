"""A recorder on two connections, without its process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from casemate.child.calls import decode_reply
from casemate.child.frames import FrameBuffer
from casemate.model.facts import Fact
from casemate.recorder.protocol import Take, Told
from casemate.recorder.server import Recorder
from support.journal import KEY, PRIVATE
from support.monitor import Journal


class Vault:
    """Signs heads; is there for as long as the test."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def sign_head(self, text: str) -> bytes:
        return PRIVATE.sign(text.encode())


class Records:
    """Keeps no records."""

    async def keep(self, _batches: list[Take], _costs: object = ()) -> int:
        return 0

    async def close(self) -> None:
        return


def told(fact: Fact) -> Told:
    return Told(type(fact).__name__, msgspec.msgpack.encode(fact))


class World:
    """A recorder on two connections, without its process."""

    def __init__(
        self, folder: Path, *, lends_records: bool = False, memories: Sequence[int] = ()
    ) -> None:
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
            restored=False,
            lends_records=lends_records,
            memories=memories,
        )
        self.gateway, theirs = socket.socketpair()
        self.gateway.setblocking(False)
        self.task = asyncio.ensure_future(self.recorder.serve(theirs))

    async def begin(self) -> World:
        await self.journal.keys.load()
        self.journal.keeper.remember(self.journal.writer.newest())
        await self.recorder.begin()
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
