"""In which start of the node a project was opened last: tells an older copy of its database.

The database has it, and so has what remembers it elsewhere, later than that. So where the database
has less, it is not the one that the node had. It is written once for each start, as the project is
opened; no change of a project costs anything.
"""

from __future__ import annotations

import logging
from typing import Protocol

from casemate.data.errors import DataCorruptError, DataError
from casemate.data.faults import DATA, RESTORE
from casemate.sqlite.engine import Connection
from casemate.sqlite.transaction import transaction

_log = logging.getLogger(__name__)


class Starts(Protocol):
    """What remembers of each project in which start it was opened last."""

    current: int
    """Which start of the node this is."""

    def seen(self, project: str) -> int:
        """Return that of a project, 0 if none is known. Any thread."""
        ...

    def note(self, project: str) -> None:
        """Remember that it was opened in this one: its database has that. On the event loop."""
        ...

    async def close(self) -> None:
        """Write what is not written yet."""
        ...


def require_newest(connection: Connection, project: str, seen: int) -> None:
    """Refuse a database that has not seen a start in which the node had it. DataCorruptError."""
    had = _start_of(connection)
    if had < seen:
        raise DataCorruptError(
            f"The database of the project {project} is an older copy: the node has had it in its "
            f"start {seen}, and this one was opened last in start {had or 'none'}. What was "
            "acknowledged since is not in it. Nothing was changed.",
            next_step=f"{RESTORE} To go on with what is left: "
            f"casemate serve --accept-loss data/{project}",
        )


def mark(connection: Connection, start: int) -> bool:
    """Write that a database is open in this start; tell whether it has that now.

    Where it cannot be written, as on a full disk, the project is there to be read all the same.
    """
    if _start_of(connection) == start:
        return True
    try:
        with transaction(connection, DATA):
            connection.execute(
                "INSERT OR REPLACE INTO meta (name, value) VALUES ('start', ?)", (b"%d" % start,)
            )
    except DataError as error:
        _log.warning("an older copy of a project's database would not be told: %s", error)
        return False
    return True


def _start_of(connection: Connection) -> int:
    found = connection.execute("SELECT value FROM meta WHERE name = 'start'").fetchone()
    return 0 if found is None else int(found[0])
