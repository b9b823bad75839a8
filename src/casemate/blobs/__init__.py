"""Sealed blobs: bytes under random names that are written once, in a folder or in an S3 store.

It is the port (`interface`), its two adapters, and the sweep of blobs that nothing names. It
encrypts nothing and knows no content. Whoever writes a blob seals it first, bound to its name and
to each piece's place, so that a blob that a store cuts, swaps or replays does not open. May
import `casemate.model` and `casemate.decoding`.
"""

from typing import TYPE_CHECKING

from casemate.blobs.credentials import Credentials, credentials_of
from casemate.blobs.errors import (
    BlobDamagedError,
    BlobsError,
    BlobsForeignError,
    BlobsRefusedError,
    BlobsUnreachableError,
)
from casemate.blobs.interface import GRACE_SECONDS, Blobs, BlobWriter
from casemate.deferred import deferred

if TYPE_CHECKING:
    from casemate.blobs.folder import FolderBlobs
    from casemate.blobs.s3 import S3Blobs, S3Store
    from casemate.blobs.s3_url import S3Url, parse_s3_url
    from casemate.blobs.sweeping import sweep
else:
    __getattr__ = deferred(
        __name__,
        folder=("FolderBlobs",),
        s3=(
            "S3Blobs",
            "S3Store",
        ),
        s3_url=(
            "S3Url",
            "parse_s3_url",
        ),
        sweeping=("sweep",),
    )

__all__ = [
    "GRACE_SECONDS",
    "BlobDamagedError",
    "BlobWriter",
    "Blobs",
    "BlobsError",
    "BlobsForeignError",
    "BlobsRefusedError",
    "BlobsUnreachableError",
    "Credentials",
    "FolderBlobs",
    "S3Blobs",
    "S3Store",
    "S3Url",
    "credentials_of",
    "parse_s3_url",
    "sweep",
]
