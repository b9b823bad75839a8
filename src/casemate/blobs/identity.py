"""Whose a bucket is: an object `casemate-cluster` with the cluster's id, asked before anything.

Two clusters on one bucket would sweep each other's blobs, and of a cluster on two buckets each node
would miss what the others keep: so the object also has an id of the bucket's own. It is no proof
against who can write the bucket: what such a one can do is to have it refused.
"""

from __future__ import annotations

import re
import secrets

import msgspec

from casemate.blobs.errors import BlobsForeignError
from casemate.blobs.s3_client import S3Client
from casemate.decoding import DECODING_ERRORS, decodable

KEY = "casemate-cluster"
_FORMAT = 1
_MOST = 4096
_CLUSTER = re.compile(r"[0-9a-f]{32}\Z")


class Identity(msgspec.Struct, frozen=True):
    """What the object says."""

    format: int
    cluster: str
    bucket: str = ""
    """Made at random; empty in what an older Casemate has claimed."""


def require_not_anothers(client: S3Client, cluster: str) -> None:
    """Raise BlobsForeignError for a bucket that is another cluster's; take none. Raises BlobsError.

    For before anything is made elsewhere: a database that was named by mistake stays as it is.
    """
    if client.get_small(KEY, _MOST) is not None:
        require_identity(client, cluster, None)


def claim(client: S3Client, cluster: str, bucket: str | None = None) -> str:
    """Make sure that a bucket is this cluster's, or take it if it is nobody's and empty.

    Returns the bucket's id. `bucket` is the one that the cluster has; None: it has none yet, and
    only then one is taken. Raises BlobsForeignError, BlobsError.
    """
    if _CLUSTER.match(cluster) is None:
        raise BlobsForeignError("The cluster's id is not 32 hexadecimal digits.")
    if client.get_small(KEY, _MOST) is None:
        if bucket is not None:
            raise BlobsForeignError(
                f"The bucket {client.url} is not claimed, and this cluster has another one.",
                next_step="Name the bucket that its nodes have. To move it, copy all of its "
                f"objects first, {KEY} too.",
            )
        page, _ = client.list("", most=1)
        if page.entries:
            raise BlobsForeignError(
                f"The bucket {client.url} holds what no cluster of Casemate has claimed.",
                next_step="Give an empty bucket, or another prefix.",
            )
        made = Identity(_FORMAT, cluster, secrets.token_hex(16))
        client.put(KEY, msgspec.json.encode(made), only_new=True)
    # Read again: of two that claim at once one is told here that it came second.
    return require_identity(client, cluster, bucket)


def require_identity(client: S3Client, cluster: str, bucket: str | None) -> str:
    """Return the id of a bucket that is this cluster's, and the one that it has, if that is known.

    Raises BlobsForeignError.
    """
    data = client.get_small(KEY, _MOST)
    if data is None:
        raise BlobsForeignError(
            f"The bucket {client.url} has lost the object {KEY}, which says whose it is.",
            next_step="Look who empties it, or whether it is another one under the same name.",
        )
    try:
        found = msgspec.json.decode(data, type=decodable(Identity))
    except DECODING_ERRORS as error:
        raise BlobsForeignError(
            f"{KEY} in the bucket {client.url} cannot be read.",
            next_step="Check what is at the endpoint, and who else writes to the bucket; restore "
            "the object from its versions.",
        ) from error
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
    if bucket is not None and found.bucket != bucket:
        raise BlobsForeignError(
            f"The bucket {client.url} is {found.bucket[:64]!r}; this cluster has {bucket!r}.",
            next_step="Name the bucket that its nodes have.",
        )
    return found.bucket
