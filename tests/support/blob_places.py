"""Places for blobs that the tests of the port share: a folder, and a real S3-compatible server."""

from __future__ import annotations

import secrets
from pathlib import Path

from casemate.blobs import Credentials, FolderBlobs, S3Blobs, S3Store, parse_s3_url
from casemate.blobs.s3_client import Limits, S3Client
from support.s3 import S3Server

KEYS = Credentials("S3RVER", "S3RVER")
CLUSTER = "c1" * 16
FAST = Limits(request=5.0, connect=1.0, attempts=3)


def client(server: S3Server, prefix: str, limits: Limits = FAST) -> S3Client:
    """Return a client of a part of the server's bucket."""
    endpoint = server.url.removesuffix("/uploads")
    return S3Client(parse_s3_url(f"s3://uploads/{prefix}?endpoint={endpoint}"), KEYS, limits)


def store(server: S3Server, prefix: str = "", cluster: str = CLUSTER) -> S3Store:
    """Return a store in a part of the bucket, a new one by default."""
    return S3Store(client(server, prefix or secrets.token_hex(8)), cluster)


def folder(path: Path) -> FolderBlobs:
    """Return a folder of blobs."""
    return FolderBlobs(path)


def keys_of(blobs: S3Blobs | FolderBlobs) -> set[str]:
    """Return the names of all that is there."""
    return {each.name for each in blobs.listed()}
