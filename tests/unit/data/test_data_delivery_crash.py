"""kill -9 while events are sent, leased and settled: none is lost, none is back after its end."""

from __future__ import annotations

import random
from pathlib import Path

from data_support import Data

from support.killed_writer import told_until_killed

KILLS = 8

WRITER = """
import asyncio, os, sys
from pathlib import Path
sys.path[:0] = [sys.argv[2], str(Path(sys.argv[2]).parents[1])]
from data_support import RESOURCES, FakeVault, end_of
from casemate.data import Fate, NewMessage, Subscription
from casemate.model.trigger import TableTrigger, TopicTrigger
from support.data_calls import CalledData

START = sys.argv[3]
STEPS = ((Fate.DONE,), (Fate.RETRY, Fate.DONE), (Fate.DEAD,))


def tell(word, body):
    os.write(1, b"%s %s\\n" % (word, body))


async def send(data, kind, name, key):
    for number in range(10**6):
        body = b'"%s-%s-%d"' % (START.encode(), key.encode(), number)
        new = [NewMessage(body=body, key=key), NewMessage(body=body[:-1] + b'+"', key=key)]
        await data.send_many("p", kind, name, new)
        for message in new:
            tell(b"sent", message.body)


async def handle(data):
    while True:
        found = await data.lease("p", "inbox", "f", limit=3, lease=600.0)
        for message in found:
            fates = STEPS[len(message.body) % 3]
            fate = fates[min(message.attempts, len(fates)) - 1]
            after = NewMessage(body=message.body)
            sends = (("queue", "rest", after),) if fate is Fate.DONE else ()
            end = end_of(message, fate=fate, sends=sends)
            assert await data.settle("p", "inbox", "f", [end]) == 1
            if fate is not Fate.RETRY:
                tell(b"settled", message.body)
        if not found:
            await asyncio.sleep(0.001)


async def put(data):
    for number in range(10**6):
        key = f"{START}-{number}"
        await data.put_item("p", "plain", {"id": key})
        tell(b"put", key.encode())


async def redrive(data):
    while True:
        await asyncio.sleep(0.02)
        await data.redrive("p", "inbox", "f", None)


async def main():
    data = CalledData(Path(sys.argv[1]), FakeVault().data_key)
    await data.ensure("p", RESOURCES)
    topic = TopicTrigger(name="t", topic="jobs")
    told = Subscription(function="g", trigger=topic)
    watch = Subscription(function="h", trigger=TableTrigger(name="t", table="plain"))
    await data.subscribe("p", [Subscription(function="f"), told, watch])
    await data.resume("p")
    os.write(1, b"open x\\n")
    await asyncio.gather(
        send(data, "inbox", "f", "a"),
        send(data, "inbox", "f", "b"),
        send(data, "topic", "jobs", "c"),
        handle(data),
        put(data),
        redrive(data),
    )

asyncio.run(main())
"""


def crash(folder: Path, start: int, lines: int, delay: float = 0.0) -> list[list[str]]:
    """Let a process work, kill it `delay` seconds after so many lines; return its lines."""
    arguments = (str(folder), str(Path(__file__).parent), str(start))
    return told_until_killed(WRITER, *arguments, begins=b"open x\n", lines=lines, delay=delay)


def bodies(data: Data, kind: str, name: str) -> list[str]:
    """Everything that is kept in a place, in whatever state, in the order of sending."""

    async def ask() -> list[str]:
        resource = data.opened().resource(kind, name).id
        return await data.opened().read(
            lambda c: [
                row[0]
                for table in ("message", "letter")
                for row in c.execute(
                    f"SELECT CAST(body AS TEXT) FROM {table} WHERE queue = ? ORDER BY id",
                    (resource,),
                )
            ]
        )

    data.queue_info("p", kind, name)
    return data.run(ask())


def items(data: Data) -> list[str]:
    """The keys of all items."""

    async def ask() -> list[str]:
        return await data.opened().read(
            lambda c: [row[0] for row in c.execute("SELECT key FROM item ORDER BY id")]
        )

    return data.run(ask())


def test_no_event_is_lost_and_none_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    random.seed(11)
    sent: set[str] = set()
    settled: set[str] = set()
    put: set[str] = set()
    words = {"sent": sent, "settled": settled, "put": put}
    for start in range(KILLS):
        for word, body in crash(folder, start, random.randint(5, 60), random.uniform(0.0, 0.05)):
            words[word].add(body)
        data = Data(folder, resources=None)
        waiting = bodies(data, "inbox", "f")
        handled = bodies(data, "queue", "rest")
        told = bodies(data, "inbox", "g")
        assert len(set(waiting)) == len(waiting) and len(set(handled)) == len(handled)
        assert not set(waiting) & set(handled), "an end and what follows from it are one"
        own = {body for body in sent if "-c-" not in body}
        assert own <= set(waiting) | set(handled)
        done = {body for body in settled if len(body) % 3 != 2}
        assert done <= set(handled)
        data_of = [body.split('"data":')[1].split(",")[0] for body in told]
        assert {body for body in sent if "-c-" in body} <= set(data_of)
        assert len(set(data_of)) == len(data_of)
        subjects = [
            body.split('"subject":"')[1].split('"')[0] for body in bodies(data, "inbox", "h")
        ]
        assert subjects == items(data), "a change and what it tells are one"
        assert put <= set(subjects)
        data.finish()
    assert len(sent) > 50 and len(settled) > 10 and len(put) > 10
