"""Forgetting invocations, errors, log lines, denials and ended tokens, a small batch at a time.

Nothing else is touched. Age is that of `stored_at`, the store's own clock:
what a function claims as the time of a line cannot keep it for ever.

Denials beyond their number go from whoever has the most of them: who floods pushes out its own, so
that a hundred thousand requests of nobody leave what is on record of known callers and functions.
"""

from __future__ import annotations

from casemate.sqlite import engine
from casemate.store.sqlite.accounts import prune_tokens
from casemate.store.sqlite.options import SqliteOptions

_EVERY_SEQUENCE = 1 << 62
"""More rows than there can be: the statement then looks at their age alone."""
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
        keep = 0 if full else options.max_records
        if table == "denial":
            most = options.max_denials
            deleted.append(_prune_denials(connection, most, full=full, batch=batch))
            keep = _EVERY_SEQUENCE  # their number is bounded above
        values = {"batch": batch, "cutoff": now - options.retention, "keep": keep}
        deleted.append(connection.execute(_PRUNE.format(table=table), values).rowcount)
    return max(deleted) == batch or (full and any(deleted))


def _prune_denials(connection: engine.Connection, most: int, *, full: bool, batch: int) -> int:
    """Delete up to `batch` denials beyond `most`, of the largest groups; return how many.

    A group is what one principal was denied in one kind. All callers without a token are one
    principal, and so is each function.
    """
    number: int = connection.execute("SELECT count(*) FROM denial").fetchone()[0]
    keep = max(number - batch, 0) if full else most
    if number <= keep:
        return 0
    groups = connection.execute(
        "SELECT principal, kind, count(*) AS number FROM denial INDEXED BY denial_principal "
        "GROUP BY principal, kind ORDER BY number DESC"
    ).fetchall()
    level = _level([count for _, _, count in groups], keep)
    deleted = 0
    for principal, kind, count in groups:
        wanted = min(count - level, number - keep - deleted, batch - deleted)
        if wanted <= 0:
            break
        deleted += connection.execute(
            "DELETE FROM denial WHERE sequence IN (SELECT sequence FROM denial INDEXED BY "
            "denial_principal WHERE principal = ? AND kind = ? ORDER BY sequence LIMIT ?)",
            (principal, kind, wanted),
        ).rowcount
    return deleted


def _level(counts: list[int], keep: int) -> int:
    """Return how many each group may keep so that all together keep at most `keep`.

    `counts` is sorted, the largest first. Who has fewer leaves its share to the others.
    """
    left = keep
    for place in range(len(counts) - 1, -1, -1):
        share = left // (place + 1)
        if counts[place] > share:
            return share
        left -= counts[place]
    return counts[0] if counts else 0


def used_bytes(connection: engine.Connection) -> int:
    """Return the size of the database without its free pages, which are used again."""
    pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
    free: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
    return (pages - free) * engine.PAGE_BYTES
