"""The clock of the store: where many nodes share one, that of its server decides."""

from __future__ import annotations

import time

from casemate.sqlite import engine


def now_of(connection: engine.Connection) -> float:
    """Return Unix time by the store's clock."""
    if isinstance(connection, engine.Connection):
        return time.time()  # which SQLite would cut to milliseconds
    (now,) = connection.execute("SELECT unixepoch('subsec')").fetchone()
    return float(now)
