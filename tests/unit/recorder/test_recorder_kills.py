"""The gateway's end and the recorder, killed at each step on the way of what is acknowledged.

Both are real, with a real journal; for the records stands a list of what is durable. Whoever is
killed makes no further step: the files and what the other end has read are all that is left.
Besides, the power could go whenever something is acknowledged: nothing may stand in the pending
file of which the kernel alone knows.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from casemate.child.channel import FrameSocket
from casemate.child.frames import frame
from casemate.facts import FactStream
from casemate.journal.files import PENDING
from casemate.journal.writer import Writer
from casemate.model.facts import SignedIn
from casemate.recorder import protocol
from casemate.recorder import server as recorder_server
from casemate.recorder.client import RecorderClient
from casemate.recorder.keeper import Keeper, KeyRing
from casemate.recorder.noted import Noted
from casemate.recorder.search import Search
from casemate.recorder.server import Recorder
from support.journal import KEY, PRIVATE
from support.monitor import vault_key
from support.outstanding import new_memory

ROUNDS, EACH = 3, 3
BEFORE, HALF, AFTER = "before", "half", "after"
"""When it is killed: before a step, in the middle of what it writes, or after it."""


class _KilledError(BaseException):
    """Stands for the end of the process."""


class Steps:
    """Counts steps, and has somebody killed at one of them."""

    def __init__(self, number: int, moment: str, killed: Callable[[], None]) -> None:
        self.made = 0
        self._number = number
        self._moment = moment
        self._killed = killed
        self.dead = False
        """Whether the recorder was killed, and no other one was started."""
        self.unsynced = False
        """Whether the kernel alone has what was written to the pending file."""

    def make(self, step: Callable[[], Any], half: Callable[[], Any] | None = None) -> Any:
        """Make one, unless it is the one at which somebody is killed."""
        if self.dead:
            raise _KilledError
        self.made += 1
        if self.made != self._number:
            return step()
        result = None
        if self._moment == AFTER:
            result = step()
        elif self._moment == HALF and half is not None:
            half()
        self._killed()
        return result

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        """Count what touches the disk, and what is answered."""
        pwrite, fdatasync, fsync, replace = os.pwrite, os.fdatasync, os.fsync, Path.replace

        def written(descriptor: int, data: memoryview, place: int) -> int:
            def whole(data: memoryview = data) -> int:
                # A line of the history acknowledges nothing.
                self.unsynced |= os.readlink(f"/proc/self/fd/{descriptor}").endswith(PENDING)
                return pwrite(descriptor, data, place)

            done: int = self.make(whole, lambda: whole(data[: len(data) // 2]))
            return done

        def synced(descriptor: int) -> None:
            fdatasync(descriptor)
            self.unsynced = False

        patch.setattr(os, "pwrite", written)
        patch.setattr(os, "fdatasync", lambda file: self.make(lambda: synced(file)))
        patch.setattr(os, "fsync", lambda file: self.make(lambda: fsync(file)))
        patch.setattr(Path, "replace", lambda file, to: self.make(lambda: replace(file, to)))
        steps = self

        class Answering(FrameSocket):
            def send(self, body: bytes, descriptors: Sequence[int] = ()) -> None:
                part = frame(body)[:5]
                steps.make(
                    lambda: super(Answering, self).send(body, descriptors),
                    lambda: self._sock.send(part),
                )

        patch.setattr(recorder_server, "FrameSocket", Answering)


class Vault:
    """Signs heads."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def sign_head(self, text: str) -> bytes:
        return PRIVATE.sign(text.encode())


class Records:
    """What is durable of the records, each number of a session once."""

    def __init__(self, steps: Steps) -> None:
        self.kept: list[tuple[bytes, int]] = []
        self._steps = steps

    async def keep(self, batches: Sequence[protocol.Take], _costs: object = ()) -> int:
        await asyncio.sleep(0)
        self._steps.make(lambda: self._keep(batches))
        return 0

    def _keep(self, batches: Sequence[protocol.Take]) -> None:
        for take in batches:
            newest = max((n for session, n in self.kept if session == take.session), default=-1)
            self.kept += [
                (take.session, number)
                for number, told in enumerate(take.facts, take.first)
                if told.kind in protocol.RECORD_KINDS and number > newest
            ]

    async def close(self) -> None:
        return


class World:
    """A node's recorder, started whenever the gateway asks for one, and its gateways."""

    def __init__(self, folder: Path, number: int, moment: str, who: str) -> None:
        self.folder = folder
        self.steps = Steps(number, moment, getattr(self, f"_kill_{who}"))
        self.records = Records(self.steps)
        self.loop = asyncio.get_running_loop()
        self.recorders: set[asyncio.Task[None]] = set()
        self.recorder: Recorder | None = None
        self.killed = False
        self.client: RecorderClient | None = None
        self.facts = FactStream()

    def gateway(self) -> RecorderClient:
        """Start a gateway."""
        supervisor, starter = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        supervisor.setblocking(False)
        self.loop.add_reader(supervisor.fileno(), self._start, supervisor)
        self.facts = FactStream()
        self.client = RecorderClient(starter, self.loop, self.facts, new_memory())
        return self.client

    def _start(self, supervisor: socket.socket) -> None:
        data, descriptors, *_ = socket.recv_fds(supervisor, 16, 1)
        if not data:
            self.loop.remove_reader(supervisor.fileno())
            supervisor.close()
            return
        task = self.loop.create_task(self._record(socket.socket(fileno=descriptors[0])))
        self.recorders.add(task)

    async def _record(self, sock: socket.socket) -> None:
        """Run a recorder from its start, as its process does."""
        writer = None
        self.steps.dead = False
        try:
            keys = KeyRing(self.folder, vault_key)
            await keys.load()
            writer = Writer(self.folder, KEY)
            keeper = Keeper(writer, keys, Noted((), writer.size))
            keeper.remember(writer.newest())
            vault: Any = Vault()
            records: Any = self.records
            self.recorder = Recorder(
                self.folder,
                writer,
                KEY,
                keys,
                keeper,
                vault,
                records,
                restored=False,
                lends_records=False,
            )
            await self.recorder.serve(sock)
        except _KilledError:
            pass
        finally:
            if writer is not None:
                writer.close()
            sock.close()

    def _kill_recorder(self) -> None:
        self.killed = self.steps.dead = True
        if self.recorder is not None:
            self.recorder._ended.set()
        raise _KilledError

    def _kill_gateway(self) -> None:
        # It tells nothing more and hears nothing more; the recorder goes on with its step.
        self.killed = True
        if self.client is not None and self.client._process.connection is not None:
            self.client._process.close()

    async def tell(self, acknowledged: list[str], turn: int) -> None:
        """Tell facts and records, and wait until they are durable, if anybody says so."""
        client = self.client
        assert client is not None
        names = [f"{turn}-{number}-{id(client)}" for number in range(EACH)]
        for name in names:
            self.facts.happened(SignedIn(at=1.0, by=name, method="password"))
            client.record(protocol.LEFT, b"x")
        durable = asyncio.ensure_future(client.durable())
        await asyncio.wait((durable, client.gone), return_when=asyncio.FIRST_COMPLETED)
        if not durable.done():
            durable.cancel()
            return
        await durable
        assert not self.steps.unsynced, "acknowledged, and gone if the power went"
        acknowledged += names

    async def found(self) -> list[str]:
        """Return whose facts the journal has, the oldest first."""
        writer = Writer(self.folder, KEY)
        try:
            keys = KeyRing(self.folder, vault_key)
            await keys.load()
            entries = (await Search(self.folder, writer, keys).find(protocol.Query())).entries
        finally:
            writer.close()
        events = [msgspec.json.decode(each.event) for each in reversed(entries)]
        return [event["actor"]["user"]["name"] for event in events]


async def scene(folder: Path, number: int, moment: str, who: str) -> bool:
    """Kill somebody at one step; return whether there was such a step."""
    folder.mkdir()
    world = World(folder, number, moment, who)
    acknowledged: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("casemate.child.restart.pause_after", lambda *_: 0.0)
        world.steps.watch(patch)
        client = world.gateway()
        for turn in range(ROUNDS):
            await world.tell(acknowledged, turn)
            if client.gone.done():
                # The next gateway starts once the recorder of the one before has ended.
                await asyncio.wait(tuple(world.recorders))
                client = world.gateway()
        await world.tell(acknowledged, ROUNDS)
        told = client.told
        if not client.gone.done():
            await client.close()
        await asyncio.wait(tuple(world.recorders))
    there = await world.found()
    assert set(acknowledged) <= set(there), (number, "lost")
    assert max(Counter(there).values()) == 1, (number, "twice")
    assert len(world.records.kept) == len(set(world.records.kept))
    if who == "recorder":
        # Its gateway lives, and so does all that it told.
        assert there == acknowledged and len(there) == (ROUNDS + 1) * EACH
        assert len(world.records.kept) == len(there) and told == 2 * len(there)
    return world.killed


@pytest.mark.parametrize(
    ("who", "moment"),
    [("recorder", BEFORE), ("recorder", HALF), ("recorder", AFTER), ("gateway", AFTER)],
)
def test_what_was_acknowledged_is_there_once_whoever_is_killed_at_any_step(
    tmp_path: Path, who: str, moment: str
) -> None:
    number = 1
    while asyncio.run(scene(tmp_path / str(number), number, moment, who)):
        number += 1
    assert number > 15
