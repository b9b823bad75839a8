"""Which bucket a cluster has: the first one, for all of its nodes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from hashlib import sha256

import pytest

from casemate.blobs import BlobsForeignError
from casemate.gateway.shared_state import open_objects
from casemate.operations.node import KeepNodeValue
from casemate.store.errors import StoreMovedError
from support.blob_places import CLUSTER, client
from support.parts import KeptValues
from support.s3 import S3Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    started = S3Server(tmp_path_factory.mktemp("s3"))
    yield started
    started.close()


class SharedValues(KeptValues):
    """Those that several nodes have: what was changed meanwhile is not written over."""

    async def change(self, operation: KeepNodeValue) -> None:
        before = self.values.get(operation.name)
        if operation.was != (b"" if before is None else sha256(before).digest()):
            raise StoreMovedError
        await super().change(operation)


def join(server: S3Server, prefix: str, values: KeptValues) -> str:
    async def opened() -> str:
        objects = await open_objects(client(server, prefix), CLUSTER, values)  # type: ignore[arg-type]
        objects.close()
        return objects.bucket

    return asyncio.run(opened())


def test_the_first_node_says_which_bucket_all_have(server: S3Server) -> None:
    values, prefix = SharedValues(), secrets.token_hex(8)
    first = join(server, prefix, values)
    assert values.values == {"bucket": first.encode()}
    assert join(server, prefix, values) == first
    with pytest.raises(BlobsForeignError, match="this cluster has another"):
        join(server, secrets.token_hex(8), values)
    assert values.values == {"bucket": first.encode()}


def test_of_two_first_nodes_with_a_bucket_each_one_is_refused(server: S3Server) -> None:
    values = SharedValues()

    async def both() -> list[object]:
        clients = [client(server, secrets.token_hex(8)) for _ in range(2)]
        # Both read before either has written: what a store answers comes with the next turn.
        return await asyncio.gather(
            *(open_objects(each, CLUSTER, values) for each in clients),  # type: ignore[arg-type]
            return_exceptions=True,
        )

    found = asyncio.run(both())
    refused = [one for one in found if isinstance(one, BlobsForeignError)]
    (kept,) = (one for one in found if one not in refused)
    kept.close()  # type: ignore[attr-defined]
    assert len(refused) == 1
    assert "Another node has joined with a bucket" in refused[0].message
    assert values.values == {"bucket": kept.bucket.encode()}  # type: ignore[attr-defined]
