"""The clock of the store: where many nodes share one, that of its server decides."""

from __future__ import annotations

import time

from casemate.sqlite import engine


def now_of(connection: engine.Connection) -> float:
    """Return Unix time by the store's clock."""
    server = server_now_of(connection)
    return time.time() if server is None else server  # SQLite would cut it to milliseconds


def server_now_of(connection: engine.Connection) -> float | None:
    """Return Unix time by the clock of the store's server; None where it has none."""
    if isinstance(connection, engine.Connection):
        return None
    (now,) = connection.execute("SELECT unixepoch('subsec')").fetchone()
    return float(now)
