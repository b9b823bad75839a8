"""What a store raises besides the errors of the model."""

from __future__ import annotations

from casemate.model.errors import ConflictError, OutOfServiceError
from casemate.sqlite.errors import (
    DatabaseBusyError,
    DatabaseClosedError,
    DatabaseCorruptError,
    DatabaseError,
    DatabaseForeignError,
    DatabaseFullError,
    DatabaseGoneError,
    DatabaseKeyError,
    DatabaseLockedError,
    DatabaseMediumError,
    DatabaseUnsureError,
    DatabaseVersionError,
)


class StoreError(DatabaseError):
    """The store's medium failed."""


class StoreFullError(StoreError, DatabaseFullError):
    """The store's disk is full."""


class StoreMediumError(StoreError, DatabaseMediumError):
    """The store's disk fails at the moment."""


class StoreCommitUnsureError(StoreMediumError, DatabaseUnsureError):
    """The disk failed during a commit: what was to be kept may be there, or may come back."""


class StoreGoneError(StoreError, DatabaseGoneError):
    """A file of the store was removed or replaced while it was open, or before."""


class StoreBusyError(StoreError, DatabaseBusyError):
    """Another program holds the store's database."""


class StoreLockedError(StoreError, DatabaseLockedError):
    """Another node has this store open."""


class StoreMovedError(ConflictError):
    """Another node has changed what a change was decided on; nothing was done."""


class UsedBeforeError(ConflictError):
    """It works once, and was used before."""


class StoreForeignError(StoreError, DatabaseForeignError):
    """What is at the store's place was not written by Casemate."""


class StoreProofError(StoreError, OutOfServiceError):
    """What decides rights in a shared database is not what nodes of the cluster have written."""


class StoreCorruptError(StoreError, DatabaseCorruptError):
    """The store's database is damaged."""


class StoreKeyError(StoreError, DatabaseKeyError):
    """The store was written with another key."""


class StoreVersionError(StoreError, DatabaseVersionError):
    """The store was written by a newer Casemate."""


AFTER_RESTART = "Send the request again once the node has restarted."


class StoreClosedError(DatabaseClosedError):
    """The store is closing."""
