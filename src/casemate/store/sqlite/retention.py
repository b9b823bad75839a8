"""Forgetting invocations, errors and log lines, a small batch at a time.

Versions, aliases and keys are never touched. Age is that of `stored_at`, the store's own clock:
what a function claims as the time of a line cannot keep it for ever.
"""

from __future__ import annotations

import sqlite3

from casemate.store.sqlite.options import SqliteOptions

PRUNED_TABLES = ("log_line", "invocation", "error")

_PRUNE = """
    DELETE FROM {table} WHERE sequence IN (
        SELECT sequence FROM (
            SELECT sequence, stored_at FROM {table} ORDER BY sequence LIMIT :batch
        )
        WHERE stored_at < :cutoff
           OR sequence <= (SELECT max(sequence) FROM {table}) - :keep
    )
"""


def prune(
    connection: sqlite3.Connection, options: SqliteOptions, *, now: float, batch: int
) -> bool:
    """Delete up to `batch` of the oldest rows of each kind where a bound asks for it.

    Returns True if more may be left to delete. `now` is Unix time in seconds. Runs inside a
    transaction of the caller's; raises sqlite3.Error.
    """
    keep = 0 if used_bytes(connection) > options.max_bytes else options.max_records
    values = {"batch": batch, "cutoff": now - options.retention, "keep": keep}
    deleted = [
        connection.execute(_PRUNE.format(table=table), values).rowcount for table in PRUNED_TABLES
    ]
    return max(deleted) == batch or (keep == 0 and any(deleted))


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return the size of the database without its free pages, which are used again."""
    pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
    free: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
    size: int = connection.execute("PRAGMA page_size").fetchone()[0]
    return (pages - free) * size
