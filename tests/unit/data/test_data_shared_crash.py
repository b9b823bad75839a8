"""kill -9 at any moment with objects in a bucket: what was acknowledged is there, nothing stays."""

from __future__ import annotations

import hashlib
import random
import secrets
from pathlib import Path

import pytest
from data_support import Data

from casemate.blobs import S3Store
from casemate.model.errors import NotFoundError
from support.blob_places import CLUSTER, client
from support.killed_writer import told_until_killed
from support.s3 import S3Server

WRITER = """
import asyncio, os, sys
from pathlib import Path
sys.path[:0] = [sys.argv[2], str(Path(sys.argv[2]).parents[1])]
from data_support import RESOURCES, FakeVault
from casemate.blobs import S3Store, parse_s3_url
from casemate.blobs.s3_client import S3Client
from support.blob_places import CLUSTER, KEYS
from support.data_calls import CalledData


async def objects(data, name):
    for number in range(10**6):
        content = os.urandom((40_000, 200_000, 2_500_000)[number % 3])
        info = await data.put_object("p", "kept", name, content)
        os.write(1, f"object {name} {info.revision} {info.sha256}\\n".encode())
        if number % 5 == 4:
            os.write(1, f"deleting {name}\\n".encode())
            await data.delete_object("p", "kept", name)


async def main():
    store = S3Store(S3Client(parse_s3_url(sys.argv[3]), KEYS), CLUSTER)
    data = CalledData(
        Path(sys.argv[1]), FakeVault().data_key, blobs=lambda name: store.blobs(f"objects/{name}")
    )
    await data.ensure("p", RESOURCES)
    os.write(1, b"open\\n")
    await asyncio.gather(objects(data, "a"), objects(data, "b"))

asyncio.run(main())
"""


def crash(folder: Path, url: str, lines: int, delay: float) -> list[list[str]]:
    """Let a process write, kill it `delay` seconds after so many lines; return its lines."""
    arguments = (str(folder), str(Path(__file__).parent), url)
    return told_until_killed(WRITER, *arguments, begins=b"open\n", lines=lines, delay=delay)


def check(data: Data, acknowledged: list[list[str]]) -> None:
    for key in ("a", "b"):
        mine = [line for line in acknowledged if line[1] == key]
        try:
            revisions = data.object_revisions("p", "kept", key)
        except NotFoundError:
            assert not mine or mine[-1][0] == "deleting"
            continue
        for info in revisions:
            found = hashlib.sha256()
            for offset in range(0, info.size, 1 << 20):
                piece = data.get_object("p", "kept", key, revision=info.revision, offset=offset)
                found.update(piece[1][: min(1 << 20, info.size - offset)])
            assert found.hexdigest() == info.sha256
        if mine and mine[-1][0] == "object":
            assert revisions[0].revision in (int(mine[-1][2]), int(mine[-1][2]) + 1)


async def rows(data: Data) -> set[str]:
    return await data.opened().read(
        lambda c: {r[0] for r in c.execute("SELECT file FROM object WHERE file IS NOT NULL")}
    )


KILLS = 60


@pytest.mark.storm
@pytest.mark.timeout(600)
def test_killed_at_any_moment(tmp_path: Path) -> None:
    server = S3Server(tmp_path / "s3")
    prefix = secrets.token_hex(8)
    url = f"s3://uploads/{prefix}?endpoint={server.url.removesuffix('/uploads')}"
    random.seed(7)
    left = 0
    for _ in range(KILLS):
        told = crash(tmp_path / "data", url, random.randint(2, 12), random.uniform(0.0, 0.05))
        store = S3Store(client(server, prefix), CLUSTER)
        blobs = store.blobs("objects/p")
        data = Data(tmp_path / "data", resources=None, blobs=lambda _, blobs=blobs: blobs)
        check(data, told)
        blobs.grace = 0.0
        before = {each.name for each in blobs.listed()}
        data.run(data.port._projects._orphans.sweep(data.opened()))
        store._deleting.submit(lambda: None).result(30)
        named = data.run(rows(data))
        left += len(before - named)
        assert {each.name for each in blobs.listed()} == named
        data.finish()
        store.close()
    server.close()
    assert left > 0  # some kills did leave something
