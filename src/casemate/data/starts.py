"""When a project was opened or changed last: tells an older copy of its database.

A moment is the number of the node's start, and of the five seconds within it. The database has it,
and so has what remembers it elsewhere, later than that. So where the database has less, it is not
the one that the node had. It is written as the project is opened, and then along with the first
change of five seconds.
"""

from __future__ import annotations

import logging
from typing import Protocol

from casemate.data.errors import DataCorruptError, DataError
from casemate.data.faults import DATA, RESTORE
from casemate.sqlite.engine import Connection
from casemate.sqlite.transaction import transaction

_log = logging.getLogger(__name__)


MOMENT_SECONDS = 5.0
_START_BITS = 32
"""A moment has its start above so many bits. What a release before has written, the number of a
start alone, is below each moment of another one."""


class Starts(Protocol):
    """What remembers of each project the moment at which it was opened or changed last."""

    def now(self) -> int:
        """Return the present moment, which is none before it. Any thread."""
        ...

    def seen(self, project: str) -> int:
        """Return that of a project, 0 if none is known. Any thread."""
        ...

    def note(self, project: str, moment: int) -> None:
        """Remember what its database has. Any thread."""
        ...

    async def close(self) -> None:
        """Write what is not written yet."""
        ...


def moment_of(start: int) -> int:
    """Return the first moment of a start of the node."""
    return start << _START_BITS


def require_newest(connection: Connection, project: str, seen: int) -> None:
    """Refuse a database that is older than a moment in which the node had it. DataCorruptError."""
    had = _moment(connection)
    if had < seen:
        raise DataCorruptError(
            f"The database of the project {project} is an older copy: the node has had it in "
            f"{_told(seen)}, and this one is of {_told(had)}. What was acknowledged since is not "
            "in it. Nothing was changed.",
            next_step=f"{RESTORE} To go on with what is left: "
            f"casemate serve --accept-loss data/{project}",
        )


def mark(connection: Connection, moment: int) -> int:
    """Have it in a database that it is open in this start; return the moment that it has.

    Where it cannot be written, as on a full disk, that is 0, and the project is there to be read
    all the same.
    """
    has = _moment(connection)
    if has >> _START_BITS == moment >> _START_BITS:
        return has
    try:
        with transaction(connection, DATA):
            write(connection, moment)
    except DataError as error:
        _log.warning("an older copy of a project's database would not be told: %s", error)
        return 0
    return moment


def write(connection: Connection, moment: int) -> None:
    """Write a moment along with what else a transaction changes.

    In the place of another one it needs no room: all are as long.
    """
    connection.execute(
        "INSERT OR REPLACE INTO meta (name, value) VALUES ('start', ?)", (b"%020d" % moment,)
    )


def _moment(connection: Connection) -> int:
    found = connection.execute("SELECT value FROM meta WHERE name = 'start'").fetchone()
    return 0 if found is None else int(found[0])


def _told(moment: int) -> str:
    """Return a moment in words; it may be one of a release before."""
    start, seconds = moment >> _START_BITS, moment % (1 << _START_BITS)
    if not start:
        return f"start {moment}" if moment else "none"
    return f"start {start}, after {seconds * MOMENT_SECONDS:.0f} s"
