"""What the errors of the store's database are called where a server keeps it."""

from __future__ import annotations

from dataclasses import replace

from casemate.sqlite.errors import DatabaseError
from casemate.sqlite.family import Telling
from casemate.store.errors import (
    StoreBusyError,
    StoreCommitUnsureError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreGoneError,
    StoreKeyError,
    StoreMediumError,
)
from casemate.store.sqlite.faults import STORE, UNREAD

_FAILED = "The store's database server failed: {}"
_LOOK = "Look into the database server's log; then try again."
_RESTORE = "Restore the database from a backup of the server's own tools."


def _log(error: OSError) -> DatabaseError:
    return StoreMediumError(_FAILED.format(error.strerror), next_step=_LOOK)


STORE_SERVER = replace(
    STORE,
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
    unread=Telling(StoreMediumError, UNREAD, _LOOK),
    passed=Telling(StoreMediumError, UNREAD.format("the server failed for a moment"), _LOOK),
    not_wal=Telling(StoreError, _FAILED, _LOOK),
    log=_log,
)
