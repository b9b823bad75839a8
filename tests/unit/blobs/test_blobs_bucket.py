"""Whose a bucket is, and what becomes of writers and deletions beyond their bounds."""

from __future__ import annotations

import secrets
import threading

import pytest

from casemate.blobs import BlobsForeignError, BlobsUnreachableError, S3Store
from casemate.blobs import s3 as s3_module
from casemate.blobs.identity import KEY, require_not_anothers
from support.blob_places import CLUSTER, client, keys_of, store
from support.s3 import S3Server


def test_a_bucket_belongs_to_the_cluster_that_came_first(server: S3Server) -> None:
    prefix = secrets.token_hex(8)
    asked = client(server, prefix)
    require_not_anothers(asked, CLUSTER)
    assert not asked.exists(KEY)
    store(server, prefix).close()
    store(server, prefix).close()
    require_not_anothers(asked, CLUSTER)
    with pytest.raises(BlobsForeignError, match=f"belongs to the cluster '{CLUSTER}'"):
        require_not_anothers(asked, "d2" * 16)
    with pytest.raises(BlobsForeignError, match=f"belongs to the cluster '{CLUSTER}'"):
        store(server, prefix, "d2" * 16)
    store(server, f"{prefix}/within", "d2" * 16).close()


def test_a_cluster_that_has_a_bucket_takes_no_other(server: S3Server) -> None:
    """A prefix with a slip in it would part the cluster's nodes."""
    first, second = secrets.token_hex(8), secrets.token_hex(8)
    opened = store(server, first)
    opened.close()
    empty = client(server, second)
    with pytest.raises(BlobsForeignError, match="is not claimed, and this cluster has another"):
        S3Store(empty, CLUSTER, opened.bucket)
    assert not empty.exists(KEY)
    store(server, second).close()
    with pytest.raises(BlobsForeignError, match=f"this cluster has '{opened.bucket}'"):
        S3Store(client(server, second), CLUSTER, opened.bucket)
    S3Store(client(server, first), CLUSTER, opened.bucket).close()


def test_a_bucket_that_an_older_casemate_has_claimed_has_no_id(server: S3Server) -> None:
    asked = client(server, secrets.token_hex(8))
    asked.put(KEY, b'{"format":1,"cluster":"' + CLUSTER.encode() + b'"}')
    opened = S3Store(asked, CLUSTER)
    assert opened.bucket == ""
    opened.require_own()
    opened.close()
    with pytest.raises(BlobsForeignError, match="is not claimed"):
        S3Store(client(server, secrets.token_hex(8)), CLUSTER, "")


def test_a_bucket_with_what_nobody_claimed_is_refused(server: S3Server) -> None:
    prefix = secrets.token_hex(8)
    asked = client(server, prefix)
    asked.put("photo.jpg", b"x")
    with pytest.raises(BlobsForeignError, match="no cluster of Casemate has claimed"):
        S3Store(asked, CLUSTER)
    assert asked.get_small("photo.jpg", 10) == b"x"
    assert not asked.exists(KEY)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"", "cannot be read"),
        (b"[" * 5000, "more than 4096 bytes"),
        (b'{"format":2,"cluster":"x"}', "has format 2, expected 1"),
        (b'{"format":1,"cluster":7}', "cannot be read"),
        (b'{"format":1,"cluster":"' + b"x" * 999 + b'"}', "belongs to the cluster 'x{64}';"),
    ],
)
def test_an_identity_that_is_none(server: S3Server, said: bytes, told: str) -> None:
    asked = client(server, secrets.token_hex(8))
    asked.put(KEY, said)
    with pytest.raises(Exception, match=told):
        S3Store(asked, CLUSTER)


def test_nothing_is_swept_in_a_bucket_that_became_anothers(server: S3Server) -> None:
    opened = store(server)
    blobs = opened.blobs("objects/p")
    writer = blobs.create()
    writer.write(b"x")
    writer.finish()
    others = (b"e" * 32, CLUSTER.encode())  # another one's, and another one of the same cluster
    for said in (*(b'{"format":1,"cluster":"' + other + b'"}' for other in others), None):
        opened.client.delete(KEY)
        if said is not None:
            opened.client.put(KEY, said)
        with pytest.raises(BlobsForeignError):
            list(blobs.listed())
    assert blobs.exists(writer.name)
    opened.close()


def test_the_id_of_a_cluster_is_one(server: S3Server) -> None:
    for cluster in ("", "../" * 4, "c1" * 15, "C1" * 16):
        with pytest.raises(BlobsForeignError):
            S3Store(client(server, secrets.token_hex(8)), cluster)


def test_writers_are_bounded_and_given_back(server: S3Server, monkeypatch) -> None:
    monkeypatch.setattr(s3_module, "MAX_WRITERS", 2)
    opened = store(server)
    blobs = opened.blobs("objects/p")
    first, second = blobs.create(), blobs.create()
    with pytest.raises(BlobsUnreachableError, match="2 large objects at once"):
        blobs.create()
    first.discard()
    second.write(b"x")
    second.finish()
    for _ in range(3):
        blobs.create().discard()
    opened.close()


def test_deletions_beyond_the_bound_are_left_to_the_sweep(server: S3Server, monkeypatch) -> None:
    monkeypatch.setattr(s3_module, "MAX_DELETIONS", 3)
    opened = store(server)
    blobs = opened.blobs("objects/p")
    names = []
    for _ in range(5):
        writer = blobs.create()
        writer.write(b"x")
        writer.finish()
        names.append(writer.name)
    go = threading.Event()
    blocked = opened._deleting.submit(go.wait, 30)
    blobs.delete([*names, "../../etc/passwd"])  # who deletes never waits
    assert not blocked.done()
    go.set()
    opened._deleting.submit(lambda: None).result()
    assert len(keys_of(blobs)) == 2
    opened.close()
    blobs.delete(names)
    with pytest.raises(BlobsUnreachableError, match="closed"):
        blobs.exists(names[0])
