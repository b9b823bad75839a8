"""Whose a bucket is: an object `casemate-cluster` with the cluster's id, asked before anything.

Two clusters on one bucket would sweep each other's blobs. It is no proof against who can write the
bucket: what such a one can do is to have it refused.
"""

from __future__ import annotations

import re

import msgspec

from casemate.blobs.errors import BlobsForeignError
from casemate.blobs.s3_client import S3Client
from casemate.decoding import decodable

KEY = "casemate-cluster"
_FORMAT = 1
_MOST = 4096
_CLUSTER = re.compile(r"[0-9a-f]{32}\Z")


class Identity(msgspec.Struct, frozen=True):
    """What the object says."""

    format: int
    cluster: str


def claim(client: S3Client, cluster: str) -> None:
    """Make sure that a bucket is this cluster's, or take it if it is nobody's and empty.

    Raises BlobsForeignError, BlobsError.
    """
    if _CLUSTER.match(cluster) is None:
        raise BlobsForeignError("The cluster's id is not 32 hexadecimal digits.")
    if client.get_small(KEY, _MOST) is None:
        page, _ = client.list("", most=1)
        if page.entries:
            raise BlobsForeignError(
                f"The bucket {client.url} holds what no cluster of Casemate has claimed.",
                next_step="Give an empty bucket, or another prefix.",
            )
        client.put(KEY, msgspec.json.encode(Identity(_FORMAT, cluster)), only_new=True)
    # Read again: of two that claim at once one is told here that it came second.
    require_identity(client, cluster)


def require_identity(client: S3Client, cluster: str) -> None:
    """Raise BlobsForeignError if a bucket is not this cluster's."""
    data = client.get_small(KEY, _MOST)
    if data is None:
        raise BlobsForeignError(
            f"The bucket {client.url} has lost the object {KEY}, which says whose it is.",
            next_step="Look who empties it, or whether it is another one under the same name.",
        )
    try:
        found = msgspec.json.decode(data, type=decodable(Identity))
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise BlobsForeignError(f"{KEY} in the bucket {client.url} cannot be read.") from error
    if found.format != _FORMAT:
        raise BlobsForeignError(
            f"The bucket {client.url} has format {found.format}, expected {_FORMAT}.",
            next_step="Start the Casemate that wrote it, or a newer one.",
        )
    if found.cluster != cluster:
        raise BlobsForeignError(
            f"The bucket {client.url} belongs to the cluster {found.cluster[:64]!r}; this is "
            f"{cluster!r}.",
            next_step="Give each cluster a bucket, or a prefix, of its own.",
        )
