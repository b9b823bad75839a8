"""How one version of a database's tables becomes the next."""

from __future__ import annotations

from collections.abc import Sequence

from casemate.sqlite.engine import Connection
from casemate.sqlite.family import Family
from casemate.sqlite.transaction import transaction


def migrate(
    connection: Connection,
    family: Family,
    application_id: int,
    migrations: Sequence[Sequence[str]],
    always: Sequence[str] = (),
) -> None:
    """Bring the schema up to `len(migrations)`, in one transaction: wholly or not at all.

    `always` is done after whatever had to be. Raises `family.newer` if the database is newer than
    that, another of its errors on a failure.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(migrations):
        raise family.newer.of(f"{version}; this Casemate knows up to {len(migrations)}")
    if version == len(migrations):
        return
    with transaction(connection, family):
        for statements in (*migrations[version:], always):
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {application_id:d}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
