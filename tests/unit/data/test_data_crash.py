"""kill -9 at any moment: what was acknowledged is there, nothing is half there."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest
from data_support import Data

from casemate.model.errors import NotFoundError
from support.killed_writer import told_until_killed

KILLS = 8

WRITER = """
import asyncio, os, sys
from pathlib import Path
sys.path[:0] = [sys.argv[2], str(Path(sys.argv[2]).parents[1])]
from data_support import RESOURCES, FakeVault
from support.data_calls import CalledData

START = sys.argv[3]
NEWEST = Path(sys.argv[1]).parent / "newest"


async def objects(data, name):
    for number in range(10**6):
        size = (10, 40_000, 200_000)[number % 3]
        info = await data.put_object("p", "kept", name, b"%d" % (number % 10) * size)
        os.write(1, f"object {name} {info.revision} {info.sha256}\\n".encode())
        if number % 7 == 6:
            os.write(1, f"deleting {name}\\n".encode())
            await data.delete_object("p", "kept", name)


async def items(data):
    for number in range(10**6):
        key = f"{START}-{number}"
        await data.put_item("p", "sorted", {"id": key, "at": 1, "colour": key})
        os.write(1, f"item {key}\\n".encode())


async def messages(data):
    for number in range(10**6):
        body = b'"%s-%d"' % (START.encode(), number)
        await data.send("p", "queue", "rest", body)
        os.write(1, b"message %s\\n" % body)


async def keys(data, vault):
    while True:
        vault.newest += 1
        draft = NEWEST.with_suffix(".draft")
        draft.write_text(str(vault.newest))
        draft.rename(NEWEST)
        await data.rekey("p")


async def main():
    vault = FakeVault()
    vault.newest = int(NEWEST.read_text())
    data = CalledData(Path(sys.argv[1]), vault.data_key)
    await data.ensure("p", RESOURCES)
    os.write(1, b"open\\n")
    await asyncio.gather(
        objects(data, "a"), objects(data, "b"), items(data), messages(data), keys(data, vault)
    )

asyncio.run(main())
"""


def crash(folder: Path, start: int, lines: int, delay: float = 0.0) -> list[list[str]]:
    """Let a process write, kill it `delay` seconds after so many lines; return its lines."""
    arguments = (str(folder), str(Path(__file__).parent), str(start))
    return told_until_killed(WRITER, *arguments, begins=b"open\n", lines=lines, delay=delay)


def test_killed_at_any_moment(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    newest = tmp_path / "newest"
    newest.write_text("1")
    random.seed(7)
    seen = 0
    for start in range(KILLS):
        acknowledged = crash(folder, start, random.randint(5, 40), random.uniform(0.0, 0.05))
        data = Data(folder, resources=None)
        data.vault.newest = int(newest.read_text())
        seen += len(acknowledged)
        check_objects(data, acknowledged)
        sent = [line[1].encode() for line in acknowledged if line[0] == "message"]
        for key in (line[1] for line in acknowledged if line[0] == "item"):
            assert data.get_item("p", "sorted", key, 1).value["colour"] == key
            assert len(data.query_items("p", "sorted", index="by-colour", key=key).items) == 1
        found = []
        while messages := data.receive("p", "queue", "rest", limit=1000):
            found += [message.body for message in messages]
            data.acknowledge("p", "queue", "rest", [message.lease for message in messages])
        assert [body for body in found if body in set(sent)] == sent
        assert len(found) - len(sent) <= 1
        data.finish()
    assert seen > 100


def check_objects(data: Data, acknowledged: list[list[str]]) -> None:
    for key in ("a", "b"):
        last = [
            line for line in acknowledged if line[0] in ("object", "deleting") and line[1] == key
        ]
        try:
            revisions = data.object_revisions("p", "kept", key)
        except NotFoundError:
            # Only a deletion that was under way or done explains that there is none.
            assert not last or last[-1][0] == "deleting"
            continue
        for info in revisions:
            content = data.get_object("p", "kept", key, revision=info.revision)[1]
            assert hashlib.sha256(content).hexdigest() == info.sha256
        if last and last[-1][0] == "object":
            assert revisions[0].revision in (int(last[-1][2]), int(last[-1][2]) + 1)
    named = data.run(_files(data))
    assert {path.name for path in data.files()} == named


async def _files(data: Data) -> set[str]:
    return await data.opened().read(
        lambda c: {r[0] for r in c.execute("SELECT file FROM object WHERE file IS NOT NULL")}
    )


def test_the_lock_goes_with_the_process(tmp_path: Path) -> None:
    (tmp_path / "newest").write_text("1")
    crash(tmp_path / "data", 0, 0)
    data = Data(tmp_path / "data")
    with pytest.raises(NotFoundError):
        data.get_object("p", "files", "k")
    data.finish()
