"""Checkpoints in a real S3-compatible server.

It knows keys and does not compute signatures of version 4; the published example of Amazon is in
`tests/unit/monitor/test_places.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from casemate.monitor.errors import UndeliveredError
from casemate.monitor.places.note import Note
from casemate.monitor.places.s3 import S3Objects
from casemate.monitor.places.settings import S3Place
from casemate.monitor.reaching import Reach
from support.monitor import not_own
from support.s3 import S3Server

NOTE = Note("casemate.test/journal\n7\nAAAA\n\n\u2014 casemate.test/journal AAAA\n", "k", 7, b"")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[S3Server]:
    server = S3Server(tmp_path)
    yield server
    server.close()


def test_a_checkpoint_is_an_object_and_a_wrong_key_is_refused(
    tmp_path: Path, store: S3Server
) -> None:
    async def put(access_key: str) -> None:
        async def password(_name: str) -> str:
            return "S3RVER"

        fields = {
            "url": store.url.removesuffix("/uploads"),
            "bucket": "uploads",
            "prefix": "node-1/",
            "access_key": access_key,
            "secret": "ops/s3",
            "accept": ["private", "plaintext"],
        }
        settings = msgspec.convert({"kind": "s3", **fields}, S3Place)
        await S3Objects(settings, Reach(not_own), 1, password).send(NOTE)

    with pytest.raises(UndeliveredError, match="403"):
        asyncio.run(put("AKIAWRONG"))
    asyncio.run(put("S3RVER"))
    kept = [each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()]
    assert NOTE.text.encode() in kept
