"""A gateway that was broken into tells its recorder rubbish: none is kept, and that it came is."""

from __future__ import annotations

import asyncio
import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from casemate.child.calls import framed
from casemate.journal.writer import Writer
from casemate.model.facts import SignedIn
from casemate.recorder import clock as clock_module
from casemate.recorder.clock import Clock
from casemate.recorder.protocol import Query, Take
from casemate.recorder.search import Search
from casemate.recorder.server import MAX_WAITING_BYTES
from support.broken_gateway import ENDS, STAYS, duplicates, told
from support.journal import KEY
from support.monitor import running
from support.recorder_world import World

RECORDS = {"a record that is none", "no project"}
"""What is refused behind the recorder's loop: by the database, and by the vault."""
HONEST = Take(1, b"12345678", 0, (told(SignedIn(at=1.0, by="user:ada", method="password")),))


async def events(world: World) -> list[dict[str, Any]]:
    """Return what is in the journal, the oldest first, of a recorder that has ended."""
    world.journal.writer = Writer(world.journal.folder, KEY)
    try:
        search = Search(world.journal.folder, world.journal.writer, world.journal.keys)
        found = await search.find(Query())
        return [json.loads(each.event) for each in found.entries][::-1]
    finally:
        world.journal.writer.close()


async def send(world: World, data: bytes) -> None:
    loop = asyncio.get_running_loop()
    try:
        await asyncio.wait_for(loop.sock_sendall(world.gateway, data), 10)
    except OSError:
        return  # it has ended meanwhile


@pytest.mark.parametrize("kind", sorted(set(ENDS) - RECORDS))
def test_rubbish_ends_the_connection_and_is_on_record(tmp_path: Path, kind: str) -> None:
    async def run() -> None:
        world = await World(tmp_path).begin()
        world.gateway.send(framed(HONEST))
        await world.answer(world.gateway)
        await send(world, ENDS[kind](random.Random(7)))
        await asyncio.wait_for(world.task, 10)
        world.gateway.close()
        kept, doubt = await events(world)
        assert kept["actor"]["user"]["name"] == "user:ada"
        assert doubt["metadata"]["event_code"] == "GatewayDoubtful" and doubt["severity_id"] == 5
        assert doubt["message"].startswith("it sent ")
        assert abs(doubt["metadata"]["logged_time"] / 1000 - time.time()) < 60

    asyncio.run(run())


@running
async def test_what_may_be_told_is_kept_once_whatever_it_says(tmp_path: Path) -> None:
    """With the recorder's own time: who tells it chooses every other."""
    world = await World(tmp_path).begin()
    chance = random.Random(7)
    for kind in set(STAYS) - {"questions"}:
        await send(world, STAYS[kind](chance))
    await send(world, duplicates(chance))
    world.gateway.send(framed(HONEST))
    while not world.journal.writer.size:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert not world.task.done()
    await world.close()
    found = await events(world)
    assert sum(each["actor"]["user"]["name"] == "user:told-thrice" for each in found) == 1
    assert all(abs(e["metadata"]["logged_time"] / 1000 - time.time()) < 60 for e in found)
    assert not any(each["metadata"]["event_code"] == "GatewayDoubtful" for each in found)


@running
async def test_what_waits_to_be_kept_is_bounded_in_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each message in its bounds: 256 of them would be 2 GB."""
    world = await World(tmp_path).begin()
    never = asyncio.Event()

    async def keep(_batches: list[Take]) -> None:
        await never.wait()

    monkeypatch.setattr(world.journal.keeper, "keep", keep)
    large = told(SignedIn(at=1.0, by="x" * 45_000, method="password"))
    message = framed(Take(1, bytes(8), 0, (large,) * 170))
    sent = 0
    while not world.recorder._ended.is_set() and sent < 4 * MAX_WAITING_BYTES:
        await send(world, message)
        sent += len(message)
        await asyncio.sleep(0)
    assert world.recorder._ended.is_set() and sent < 3 * MAX_WAITING_BYTES
    never.set()
    world.gateway.close()
    await world.task


@running
async def test_a_clock_that_is_set_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock_module, "LOOK_SECONDS", 0.01)
    world = await World(tmp_path).begin()
    await asyncio.sleep(0.05)
    true = time.time
    monkeypatch.setattr(time, "time", lambda: true() - 3600)
    while not world.journal.writer.size:
        await asyncio.sleep(0.01)
    monkeypatch.setattr(time, "time", true)
    while world.journal.writer.size < 2:
        await asyncio.sleep(0.01)
    await world.close()
    found = await events(world)
    assert [round(each["unmapped"]["seconds"], -1) for each in found] == [-3600, 3600]


def test_a_clock_that_is_kept_right_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    true, off = time.time, 0.0
    monkeypatch.setattr(time, "time", lambda: true() + off)
    clock = Clock()
    off = 20.0
    assert clock.step() == 0.0
    off = 40.0  # in small steps: they count together
    assert clock.step() == pytest.approx(40.0, abs=1.0)
    assert clock.step() == 0.0
