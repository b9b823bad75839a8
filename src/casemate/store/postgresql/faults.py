"""What the errors of the store's database are called where a server keeps it."""

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

_FAILED = "The store's database server failed: {}"
_LOOK = "Look into the database server's log; then try again."
_RESTORE = "Restore the database from a backup of the server's own tools."
_UNREAD = "The store's database cannot be read now: {}."


def _log(error: OSError) -> DatabaseError:
    return StoreMediumError(_FAILED.format(error.strerror), next_step=_LOOK)


STORE_SERVER = Family(
    failed=Telling(StoreError, _FAILED, _LOOK),
    medium=Telling(StoreMediumError, _FAILED, _LOOK),
    full=Telling(
        StoreFullError,
        "The disk of the store's database server is full: {}",
        "Make room there; then the call works.",
    ),
    busy=Telling(
        StoreBusyError,
        "The store's database server is too busy, or another node holds the lock: {}",
        "Try again; if it stays so, look at what runs there: SELECT * FROM pg_stat_activity",
    ),
    key=Telling(StoreKeyError, "The store's database was written with another key.", _RESTORE),
    damaged=Telling(StoreCorruptError, "The store's database is damaged: {}", _RESTORE),
    unsure=Telling(
        StoreCommitUnsureError,
        "It is not known whether the database server has made a change durable: {}.",
        "Look whether it was made before it is made again.",
    ),
    gone=Telling(StoreGoneError, "{} of the store is gone.", _RESTORE),
    unread=Telling(StoreMediumError, _UNREAD, _LOOK),
    passed=Telling(StoreMediumError, _UNREAD.format("the server failed for a moment"), _LOOK),
    closed=Telling(StoreClosedError, "The store is closing.", AFTER_RESTART),
    newer=Telling(
        StoreVersionError,
        "The store has schema version {}.",
        "Start the Casemate that wrote it or a newer one; nothing was changed.",
    ),
    not_wal=Telling(StoreError, _FAILED, _LOOK),
    unforeseen=Telling(
        StoreError,
        "The store failed in a way not foreseen: {}.",
        "Report this with the node's log.",
    ),
    log=_log,
    shows_values=True,
)
"""Of the nodes' own records, whose columns hold no content."""
