"""What the errors of the store's database are called, and what they tell people."""

from __future__ import annotations

from casemate.sqlite.errors import DatabaseError
from casemate.sqlite.family import Family, Telling
from casemate.store.errors import (
    AFTER_RESTART,
    StoreBusyError,
    StoreClosedError,
    StoreCommitUnsureError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreGoneError,
    StoreKeyError,
    StoreMediumError,
    StoreVersionError,
)

RESTORE = (
    "Stop the node, move the store's folder away for examination, and restore it from a backup."
)
OTHER_KEY = (
    "Start the node with the vault that this store belongs to, or restore both from one backup; "
    "nothing was changed."
)
_FAILED = "The store's medium failed: {}"
_CHECK = "Check the disk, the kernel's log and the rights on the store's folder."
UNREAD = "The store's database cannot be read now: {}."
_LOOK = "Check the disk and the kernel's log; then the call works again."


def _log(error: OSError) -> DatabaseError:
    return StoreMediumError(
        f"The store's log cannot be examined: {error.strerror}.",
        next_step="Check the disk and the kernel's log.",
    )


STORE = Family(
    failed=Telling(StoreError, _FAILED, _CHECK),
    medium=Telling(StoreMediumError, _FAILED, _CHECK),
    full=Telling(
        StoreFullError,
        "The store's disk is full: {}",
        "Make room on the file system of the store's folder; then the call works.",
    ),
    busy=Telling(
        StoreBusyError,
        "Another program holds the store's database: {}",
        "Close the other program and try again.",
    ),
    key=Telling(
        StoreKeyError,
        "The store's database was written with another key, or its first page is damaged.",
        OTHER_KEY,
    ),
    damaged=Telling(StoreCorruptError, "The store's database is damaged: {}", RESTORE),
    unsure=Telling(
        StoreCommitUnsureError,
        "The store's disk failed while a change was being made durable: {}.",
        "Look whether it was made before it is made again.",
    ),
    gone=Telling(
        StoreGoneError,
        "{} of the store was removed or replaced while it was open: further writes would be lost.",
        "Put the file back, or stop the node and restore the store from a backup.",
    ),
    unread=Telling(StoreMediumError, UNREAD, _LOOK),
    passed=Telling(StoreMediumError, UNREAD.format("the disk failed for a moment"), _LOOK),
    closed=Telling(StoreClosedError, "The store is closing.", AFTER_RESTART),
    newer=Telling(
        StoreVersionError,
        "The store has schema version {}.",
        "Start the Casemate that wrote it or a newer one; nothing was changed.",
    ),
    not_wal=Telling(
        StoreError,
        "The store's database stays in journal mode {}; expected 'wal'.",
        "Put the store on a local file system with shared memory maps.",
    ),
    unforeseen=Telling(
        StoreError,
        "The store failed in a way not foreseen: {}.",
        "Report this with the node's log.",
    ),
    log=_log,
    shows_values=True,
)
"""Of the node's own records, whose columns hold no content."""
