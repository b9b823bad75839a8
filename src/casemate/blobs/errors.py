"""What stores of blobs raise besides OSError, which is the medium of a folder."""

from __future__ import annotations

from casemate.model.errors import CasemateError, OutOfServiceError


class BlobsError(CasemateError):
    """The store of blobs failed."""


class BlobsUnreachableError(BlobsError):
    """The store of blobs does not answer as it should at the moment."""

    retryable = True


class BlobsRefusedError(BlobsError, OutOfServiceError):
    """The store of blobs refuses the request: only other settings or rights change that."""


class BlobsForeignError(BlobsError, OutOfServiceError):
    """The bucket is not this cluster's."""


class BlobDamagedError(BlobsError):
    """A blob is not what was written."""


class BlobSizeError(BlobDamagedError):
    """A blob, or a segment of it, was cut or extended."""

    def __init__(self, found: int, expected: int) -> None:
        """Keep both sizes in bytes."""
        super().__init__(
            f"A blob has {found} bytes, expected {expected}.",
            next_step="Restore it from a backup; the store does not have what was written.",
        )
        self.found = found
        self.expected = expected
