"""What a store raises besides the errors of the model."""

from __future__ import annotations

from casemate.model.errors import CasemateError, UnavailableError


class StoreError(CasemateError):
    """The store's medium failed."""


class StoreFullError(StoreError, UnavailableError):
    """The store's disk is full."""


class StoreMediumError(StoreError, UnavailableError):
    """The store's disk fails at the moment."""


class StoreCommitUnsureError(StoreMediumError):
    """The disk failed during a commit: what was to be kept may be there, or may come back."""


class StoreGoneError(StoreError):
    """A file of the store was removed or replaced while it was open, or before."""


class StoreBusyError(StoreError, UnavailableError):
    """Another program holds the store's database."""


class StoreLockedError(StoreError):
    """Another node has this store open."""


class StoreForeignError(StoreError):
    """What is at the store's place was not written by Casemate."""


class StoreCorruptError(StoreError):
    """The store's database is damaged."""


class StoreKeyError(StoreError):
    """The store was written with another key."""


class StoreVersionError(StoreError):
    """The store was written by a newer Casemate."""


AFTER_RESTART = "Send the request again once the node has restarted."


class StoreClosedError(UnavailableError):
    """The store is closing."""
