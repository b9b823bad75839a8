"""Nodes that are killed, or frozen longer than others wait: nothing is lost, keys keep order."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))

from data_nodes import Nodes, play

from casemate.data import NewMessage
from casemate.model.event import Event
from casemate.model.trigger import TriggerKind
from support.database import Server

NODE = """
import asyncio, os, random, sys, time
from pathlib import Path
sys.path[:0] = sys.argv[5:]
import msgspec
from delivery_world import OK, World
from data_nodes import CLUSTER, FakeVault
from casemate.data.files import folders_below
from casemate.data.postgresql.databases import Cluster
from casemate.data.terms import Holder
from casemate.model.function import Delivery, Limits
from casemate.postgresql.settings import Settings
from support.data_calls import CalledSharedData

url, folder, name, told = sys.argv[1:5]
out = os.open(told, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

def tell(what, key, number):
    line = msgspec.json.encode([time.clock_gettime(time.CLOCK_BOOTTIME), name, what, key, number])
    os.write(out, line + b"\\n")

class Node(World):
    async def _run(self, raw):
        key, number = msgspec.json.decode(raw.events[0].data)
        tell("begins", key, number)
        await asyncio.sleep(random.uniform(0.0, 0.03))
        tell("ends", key, number)
        return OK

async def main():
    cluster = Cluster(Settings.of_url(url), CLUSTER, Holder(name, os.urandom(4).hex()))
    data = await CalledSharedData.open(
        cluster, folders_below(Path(folder) / "objects"), FakeVault().data_key
    )
    node = Node(Path(folder), data)
    await node.deploy(
        {"name": "f", "limits": Limits(concurrency=8),
         "delivery": Delivery(attempts=50, backoff=0.02, backoff_most=0.1)}
    )
    node.delivery.start()
    os.write(1, b"ready\\n")
    await asyncio.Event().wait()

asyncio.run(main())
"""
KEYS = ("", "a", "b", "c")


class Process:
    def __init__(self, nodes: Nodes, folder: Path, name: str) -> None:
        here = Path(__file__).parent
        self.command = [
            *(sys.executable, "-c", NODE, nodes.server.url(nodes.database), str(folder), name),
            *(str(folder / "told"), str(here), str(here.parent / "data"), str(here.parents[1])),
        ]
        self.name = name
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def end(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()


def event(key: str, number: int) -> NewMessage:
    made = Event(
        id=f"e{key}{number}",
        source="/s",
        type="t",
        time=1.0,
        kind=TriggerKind.INVOKE,
        data=msgspec.Raw(msgspec.json.encode([key, number])),
    )
    return NewMessage(body=msgspec.json.encode(made), key=key)


def told(folder: Path) -> list[list[Any]]:
    lines = (folder / "told").read_bytes().splitlines()
    return [json.loads(line) for line in lines]


def check(lines: list[list[Any]], sent: dict[str, int]) -> dict[str, int]:
    """Require that all was handled, in the order of keys; return what happened more than once."""
    ends: dict[tuple[str, int], float] = {}
    begins: dict[tuple[str, int], float] = {}
    again = 0
    for at, _, what, key, number in lines:
        found = ends if what == "ends" else begins
        again += what == "begins" and (key, number) in found
        found.setdefault((key, number), at)
    lost = [(k, n) for k, most in sent.items() for n in range(most) if (k, n) not in ends]
    assert not lost, lost[:10]
    out_of_order = [
        (key, number)
        for (key, number), at in begins.items()
        if key and number and at < ends[key, number - 1]
    ]
    assert not out_of_order, out_of_order[:10]
    return {"handled": len(ends), "again": again}


async def storm(nodes: Nodes, folder: Path, rounds: int, *, frozen: float) -> dict[str, Any]:
    found = [Process(nodes, folder, name) for name in ("one", "two", "three")]
    sender = await nodes.open("sender", takes=False)
    sent: dict[str, int] = defaultdict(int)
    delays: list[float] = []
    stop = False

    async def send() -> None:
        while not stop:
            key = random.choice(KEYS)
            await sender.send_many("t", "inbox", "f", [event(key, sent[key])])
            sent[key] += 1
            await asyncio.sleep(0.01)

    sending = asyncio.ensure_future(send())
    try:
        for number in range(rounds):
            await asyncio.sleep(random.uniform(0.2, 1.0))
            one = random.choice(found)
            if frozen and number % 2:
                one.process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(frozen)
                one.process.send_signal(signal.SIGCONT)
            else:
                one.process.kill()
                # Nobody may take its place before the others have.
                await asyncio.sleep(12.0 if number % 4 == 0 else 0.1)
                one.end()
                await asyncio.to_thread(one.start)
        stop = True
        await sending
        began = time.monotonic()
        deadline = began + 40
        while (await sender.queue_info("t", "inbox", "f")).waiting:
            assert time.monotonic() < deadline, "not all was handled"
            await asyncio.sleep(0.05)
        delays.append(time.monotonic() - began)
    finally:
        sending.cancel()
        for one in found:
            one.process.send_signal(signal.SIGCONT)
            one.end()
    letters = await sender.dead_letters("t", "inbox", "f")
    assert not letters, letters[:3]
    return check(told(folder), sent) | {"sent": sum(sent.values()), "left": delays}


@pytest.mark.storm
@pytest.mark.timeout(900)
def test_killed_and_frozen_nodes_lose_nothing(postgresql_server: Server, tmp_path: Path) -> None:
    random.seed(7)
    rounds = int(os.environ.get("CASEMATE_STORM_ROUNDS", "12"))

    async def scene(nodes: Nodes) -> None:
        found = await storm(nodes, tmp_path, rounds, frozen=13.0)
        print(found)
        assert found["handled"] == found["sent"] > 100

    play(postgresql_server, tmp_path, scene, 850)


@pytest.mark.storm
@pytest.mark.timeout(120)
def test_what_a_killed_node_has_leased_is_elsewhere_within_15_seconds(
    postgresql_server: Server, tmp_path: Path
) -> None:
    async def scene(nodes: Nodes) -> None:
        one = Process(nodes, tmp_path, "one")
        one.process.send_signal(signal.SIGSTOP)  # has leased nothing yet
        sender = await nodes.open("sender", takes=False)
        one.process.send_signal(signal.SIGCONT)
        await sender.send_many("t", "inbox", "f", [event("", n) for n in range(400)])
        while not (tmp_path / "told").exists() or len(told(tmp_path)) < 20:
            await asyncio.sleep(0.005)
        one.end()
        died = time.clock_gettime(time.CLOCK_BOOTTIME)
        held = nodes.sql("SELECT count(*) FROM p_t.message WHERE state = 3")[0][0]
        two = Process(nodes, tmp_path, "two")
        try:
            while (await sender.queue_info("t", "inbox", "f")).waiting:
                assert time.clock_gettime(time.CLOCK_BOOTTIME) < died + 20
                await asyncio.sleep(0.01)
        finally:
            two.end()
        found = check(told(tmp_path), {"": 400})
        took = max(at for at, *_ in told(tmp_path)) - died
        print(found, {"held": held, "seconds": round(took, 1)})
        assert int(str(held)) > 0
        assert took < 15

    play(postgresql_server, tmp_path, scene, 100)
