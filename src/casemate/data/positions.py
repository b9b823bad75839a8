"""How far schedules and sources outside have come, kept together with what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from casemate.data.fanout import Fanout
from casemate.data.terms import terms_of
from casemate.data.work import Work
from casemate.model.messages import NewMessage
from casemate.sqlite.engine import Connection


def get(connection: Connection, name: str) -> bytes | None:
    """Return a position, None if it was never set."""
    row = connection.execute("SELECT value FROM position WHERE name = ?", (name,)).fetchone()
    return None if row is None else terms_of(connection).open(("position", name), bytes(row[0]))


def advance(
    work: Work,
    fanout: Fanout,
    name: str,
    value: bytes,
    expected: bytes | None,
    sends: Sequence[tuple[str, str, NewMessage]],
) -> bool:
    """Set a position and send, if it is the expected one; return whether it was."""
    if get(work.connection, name) != expected:
        return False
    work.connection.execute(
        "INSERT INTO position (name, value) VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, terms_of(work.connection).seal(("position", name), value)),
    )
    for kind, resource, new in sends:
        fanout.send(work, kind, resource, (new,))
    return True
