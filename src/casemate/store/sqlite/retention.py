"""Forgetting invocations, errors, log lines, denials and ended tokens, a small batch at a time.

Nothing else is touched. Age is that of `stored_at`, the store's own clock:
what a function claims as the time of a line cannot keep it for ever.
"""

from __future__ import annotations

from casemate.store.sqlite import engine
from casemate.store.sqlite.accounts import prune_tokens
from casemate.store.sqlite.options import SqliteOptions

PRUNED_TABLES = ("log_line", "invocation", "error", "denial")

_PRUNE = """
    DELETE FROM {table} WHERE sequence IN (
        SELECT sequence FROM (
            SELECT sequence, stored_at FROM {table} ORDER BY sequence LIMIT :batch
        )
        WHERE stored_at < :cutoff
           OR sequence <= (SELECT max(sequence) FROM {table}) - :keep
    )
"""


def prune(connection: engine.Connection, options: SqliteOptions, *, now: float, batch: int) -> bool:
    """Delete up to `batch` of the oldest rows of each kind where a bound asks for it.

    Returns True if more may be left to delete. `now` is Unix time in seconds. Runs inside a
    transaction of the caller's; raises engine.Error.
    """
    full = used_bytes(connection) > options.max_bytes
    deleted = [prune_tokens(connection, now=now, batch=batch)]
    for table in PRUNED_TABLES:
        most = options.max_denials if table == "denial" else options.max_records
        values = {
            "batch": batch,
            "cutoff": now - options.retention,
            "keep": 0 if full else most,
        }
        deleted.append(connection.execute(_PRUNE.format(table=table), values).rowcount)
    return max(deleted) == batch or (full and any(deleted))


def used_bytes(connection: engine.Connection) -> int:
    """Return the size of the database without its free pages, which are used again."""
    pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
    free: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
    return (pages - free) * engine.PAGE_BYTES
