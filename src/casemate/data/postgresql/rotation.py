"""Going over to new data keys, row by row, while calls go on.

New values are sealed with the newest key as soon as a node has it; here the others follow, in
batches that do not hold up others. Whatever is interrupted goes on at the next call. A node that
meets a value under a key that it has not fetches it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final, NamedTuple

from casemate.data.postgresql.project import PostgresqlProject
from casemate.data.postgresql.sealing import MissingValueKeyError, version_of
from casemate.data.projects import Keys
from casemate.data.rotation import renew_objects
from casemate.data.terms import Bound, Terms, terms_of
from casemate.data.work import Work
from casemate.sqlite.engine import Connection
from casemate.vault.interface import Purpose

_BATCH: Final = 64


class Sealed(NamedTuple):
    """A column that is sealed, what it is sealed as, and what beside its place it is bound to."""

    column: str
    kind: str
    beside: tuple[str, ...] = ()


class Table(NamedTuple):
    """A table with sealed columns, in the order in which each needs those before it."""

    name: str
    number: str
    place: tuple[str, ...]
    columns: tuple[Sealed, ...]

    @property
    def least(self) -> object:
        """What is before all numbers."""
        return -1 if self.number == "id" else ""


_MESSAGE: Final = ("labels", "attributes")
TABLES: Final = (
    Table("resource", "id", ("kind", "name"), (Sealed("spec", "resource"),)),
    Table("meta", "name", ("name",), (Sealed("value", "meta"),)),
    Table("position", "name", ("name",), (Sealed("value", "position"),)),
    Table(
        "item",
        "id",
        ("tab", "key", "sort"),
        (Sealed("labels", "item labels"), Sealed("value", "item", ("revision", "labels"))),
    ),
    Table(
        "message",
        "id",
        ("queue", "id"),
        (
            Sealed("labels", "message labels"),
            Sealed("attributes", "message attributes"),
            Sealed("body", "message", _MESSAGE),
        ),
    ),
    Table(
        "letter",
        "id",
        ("queue", "id"),
        (
            Sealed("trigger", "letter trigger"),
            Sealed("event_type", "letter type"),
            Sealed("reason", "letter reason"),
            Sealed("labels", "letter labels"),
            Sealed("attributes", "letter attributes"),
            Sealed("body", "letter", _MESSAGE),
        ),
    ),
    Table(
        "status",
        "id",
        ("invocation",),
        (
            Sealed("content_type", "result type"),
            Sealed("reason", "reason"),
            Sealed("result", "result"),
        ),
    ),
    Table(
        "object",
        "id",
        ("bucket", "key", "revision"),
        (
            Sealed("content_type", "object type"),
            Sealed("sha256", "object digest"),
            Sealed("labels", "object labels"),
            Sealed("metadata", "object metadata", ("labels",)),
        ),
    ),
)
"""All that is sealed with the DATA key. Contents of objects are with the OBJECTS key."""


async def rekey(project: PostgresqlProject, keys: Keys) -> None:
    """Encrypt what a project has stored with the newest keys. Raises DataError."""
    async with project.maintenance:
        sealer = project.shared.sealer
        sealer.add(await keys(project.name, Purpose.DATA, None))
        for table in TABLES:
            after: object = table.least
            while after is not None:
                try:
                    after = await project.change(partial(_renew, table, sealer.newest, after))
                except MissingValueKeyError as error:
                    sealer.add(await keys(project.name, Purpose.DATA, error.version))
        object_key = await keys(project.name, Purpose.OBJECTS, None)
        project.add_key(object_key, newest=True)
        await renew_objects(project, keys, project.object_key(object_key.version))


def _renew(table: Table, newest: int, after: object, work: Work) -> object | None:
    """Seal a batch anew; return where the next begins, None at the end."""
    connection, terms = work.connection, terms_of(work.connection)
    sealed = [one.column for one in table.columns]
    rows = sealed_rows(table, connection, after)
    changes = []
    for found in rows:
        if all(version_of(found[name] or b"") in (0, newest) for name in sealed):
            continue
        changes.append((*_renewed(table, terms, found), found[table.number]))
    columns = ", ".join(f"{name} = ?" for name in sealed)
    connection.executemany(
        f"UPDATE {table.name} SET {columns} WHERE {table.number} = ?",  # noqa: S608
        changes,
    )
    return rows[-1][table.number] if rows else None


def sealed_rows(table: Table, connection: Connection, after: object) -> list[dict[str, Any]]:
    """Return the next rows of a table after a number, by the names of what is needed to open them.

    As many as the server answers with in one go; none at the end.
    """
    sealed = [one.column for one in table.columns]
    others = {*table.place, *(name for one in table.columns for name in one.beside)}
    names = [table.number, *sorted(others - {table.number, *sealed}), *sealed]
    statement = (
        f"SELECT {', '.join(names)} FROM {table.name} "  # noqa: S608 - names in the code
        f"WHERE {table.number} > ? ORDER BY {table.number} LIMIT ?"
    )
    rows = connection.execute(
        terms_of(connection).within(statement, table.columns[-1].column, table.number),
        (after, _BATCH),
    )
    return [dict(zip(names, row, strict=False)) for row in rows]


def opened_row(
    table: Table, terms: Terms, found: dict[str, Any]
) -> Iterator[tuple[Bound, bytes | None]]:
    """Give of each sealed column what it is bound to, and its content; None: nothing is kept.

    Raises DataCorruptError for what is not what was sealed there, MissingValueKeyError.
    """
    opened = dict(found)
    place = [found[name] for name in table.place]
    for one in table.columns:
        kept = found[one.column]
        bound = (one.kind, *place, *(opened[name] for name in one.beside))
        if kept is None or not version_of(kept):
            yield bound, None
            continue
        opened[one.column] = terms.open(bound, kept)
        yield bound, opened[one.column]


def _renewed(table: Table, terms: Terms, found: dict[str, Any]) -> list[bytes | None]:
    return [
        found[one.column] if content is None else terms.seal(bound, content)
        for one, (bound, content) in zip(
            table.columns, opened_row(table, terms, found), strict=True
        )
    ]
