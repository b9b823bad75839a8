"""Which of a cluster's databases one is: told by a row in it, so that none is taken for another.

The control store knows the same, proved by a key of the vault (`placements`). A URL that leads to
another database of the cluster, to an empty one, or to one that was copied from another is refused
by what that row says, whatever it is called.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from casemate.data.errors import DataForeignError
from casemate.sqlite.engine import Connection

MAIN: Final = "main"
"""The name of the database of `--store`, which has the control store as well."""
_NEXT = "Look at the URLs of --databases and of --store; nothing was changed."


class Binding(NamedTuple):
    """What a database is to be."""

    name: str = MAIN
    id: str = MAIN
    """Made at random when the database was named first; the main one needs none."""
    used: bool = False
    """There are projects in it: one that says nothing of itself is another one, or was emptied."""
    alone: bool = True
    """There is no other one. Releases that know of none can use it as well."""


_THERE: Final = "SELECT to_regclass('casemate_projects.bound') IS NOT NULL"


def require_bound(connection: Connection, wanted: Binding) -> None:
    """Raise DataForeignError if it is another database; change nothing.

    Asked of one that lacks what was acknowledged: it may have lost it, or be another one.
    """
    if connection.execute(_THERE).fetchone() != (1,):
        if wanted.used:
            raise DataForeignError(
                f"The database that is given as {wanted.name} is empty, or another program's.",
                next_step=_NEXT,
            )
        return
    found = connection.execute("SELECT name, id FROM casemate_projects.bound").fetchone()
    if found is not None and tuple(found) != (wanted.name, wanted.id):
        raise _another(found, wanted)


def _another(found: tuple[object, ...], wanted: Binding) -> DataForeignError:
    told = str(found[0])[:80]
    which = "another one that had this name" if told == wanted.name else f"the database {told}"
    return DataForeignError(
        f"The database that is given as {wanted.name} is {which}.", next_step=_NEXT
    )


def bind(connection: Connection, wanted: Binding) -> None:
    """Require that it is the database that is meant, or have it be so from now on.

    In a transaction that holds the lock. Raises DataForeignError.
    """
    found = connection.execute("SELECT name, id FROM bound").fetchone()
    if found is None:
        (projects,) = connection.execute("SELECT count(*) FROM project").fetchone()
        if wanted.name != MAIN and (projects or wanted.used):
            has = f"has {projects} projects" if projects else "is empty"
            raise DataForeignError(
                f"The database that is given as {wanted.name} {has} and does not say that it is "
                "that one of this cluster.",
                next_step=_NEXT,
            )
        connection.execute(
            "INSERT INTO bound (one, name, id) VALUES (1, ?, ?)", (wanted.name, wanted.id)
        )
    elif tuple(found) != (wanted.name, wanted.id):
        raise _another(found, wanted)
    if not wanted.alone:
        # A release that looks for every project here would make those again that are elsewhere.
        connection.execute("UPDATE casemate_schema SET least = version WHERE least < version")
