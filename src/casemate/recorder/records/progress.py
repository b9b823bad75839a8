"""How far work is that goes on over many transactions, each of which says so itself."""

from __future__ import annotations

from casemate.sqlite import engine


def place_of(connection: engine.Connection, name: str) -> int:
    """Return where a work is; 0 before it has begun."""
    row = connection.execute("SELECT until FROM progress WHERE name = ?", (name,)).fetchone()
    return 0 if row is None else int(row[0])


def remember(connection: engine.Connection, name: str, place: int) -> None:
    """Keep where it is."""
    connection.execute(
        "INSERT INTO progress (name, until) VALUES (?, ?) "
        "ON CONFLICT DO UPDATE SET until = excluded.until",
        (name, place),
    )
