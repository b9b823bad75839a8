"""Records that a release before has written here: read once, then forgotten.

The recorder takes them over (`casemate.recorder.records.taking_over`), which knows the same tables.
"""

from __future__ import annotations

from casemate.sqlite import engine

Row = tuple[str | int | float | None, ...]

TABLES = {
    "invocation": (
        "sequence, stored_at, id, project, function, version, trigger, outcome, status, "
        "started_at, queued_ms, run_ms, cold, request_bytes, response_bytes, error_id"
    ),
    "error": (
        "sequence, stored_at, id, invocation, project, function, version, outcome, at, type, "
        "message, trace"
    ),
    "log_line": ("sequence, stored_at, invocation, project, function, version, at, level, text"),
    "denial": (
        "sequence, stored_at, at, kind, principal, action, resource, reason, project, function, "
        "version, invocation, remote_address, count"
    ),
}
ROWS_AT_ONCE = 500
CHARACTERS_AT_ONCE = 1 << 20
_FORGOTTEN_AT_ONCE = 2000


def tables(connection: engine.Connection) -> dict[str, int]:
    """Return the tables that have rows, each with its highest sequence."""
    found = {}
    for table in TABLES:
        (highest,) = connection.execute(f"SELECT max(sequence) FROM {table}").fetchone()  # noqa: S608
        if highest is not None:
            found[table] = int(highest)
    return found


def rows(connection: engine.Connection, table: str, after: int) -> list[Row]:
    """Return rows of a table with a higher sequence, ascending, of bounded number and size."""
    found: list[Row] = []
    characters = 0
    columns = TABLES[table]
    for row in connection.execute(
        f"SELECT {columns} FROM {table} WHERE sequence > ? ORDER BY sequence LIMIT ?",  # noqa: S608
        (after, ROWS_AT_ONCE),
    ):
        found.append(row)
        characters += sum([len(value) for value in row if isinstance(value, str)])
        if characters >= CHARACTERS_AT_ONCE:
            break
    return found


def forget(connection: engine.Connection) -> bool:
    """Delete some rows of each table; False: there were none."""
    deleted = 0
    for table in TABLES:
        deleted += connection.execute(
            f"DELETE FROM {table} WHERE sequence IN "  # noqa: S608
            f"(SELECT sequence FROM {table} ORDER BY sequence LIMIT ?)",
            (_FORGOTTEN_AT_ONCE,),
        ).rowcount
    return deleted > 0
