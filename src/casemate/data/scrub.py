"""Looking at all of a project's data: pages, counters, and the files of objects."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from casemate.data.content import CHUNK_BYTES, context_of
from casemate.data.errors import DataCorruptError, DataError
from casemate.data.files import read_range
from casemate.data.project import MissingKeyError, OpenProject
from casemate.data.projects import Projects
from casemate.data.registry import BUCKET
from casemate.data.sqlite_project import SqliteProject
from casemate.model.integrity import Damaged
from casemate.sqlite.engine import Connection
from casemate.sqlite.scrub import MOST_PROBLEMS, Pace, scrub

_BATCH = 100
_PIECE = 64 * CHUNK_BYTES
_COUNTERS = (
    ("number", "queue", "messages", "SELECT count(*) FROM message WHERE queue = resource.id"),
    ("dead", "queue", "dead letters", "SELECT count(*) FROM letter WHERE queue = resource.id"),
    ("number", "bucket", "revisions", "SELECT count(*) FROM object WHERE bucket = resource.id"),
    (
        "total",
        "bucket",
        "bytes",
        "SELECT coalesce(sum(size), 0) FROM object WHERE bucket = resource.id",
    ),
)
P = TypeVar("P", bound=OpenProject)
Keys = Callable[[P, int], Awaitable[None]]


async def damaged_file(opened: SqliteProject, pace: Pace) -> list[str]:
    """Return what is wrong with a project's database file."""
    connections = opened.connections
    # Not on the threads for files, which uploads need: it may take hours.
    return await asyncio.to_thread(scrub, connections.guard.file, connections.key, pace)


async def scrub_project(
    projects: Projects[P],
    name: str,
    pace: Pace,
    fetch: Keys[P],
    stored: Callable[[P], Awaitable[Sequence[str | Damaged]]],
) -> tuple[str | Damaged, ...]:
    """Return what is wrong with a project's data, the first few of each kind. Raises DataError.

    `stored` tells what is wrong with what the engine keeps; the rest is looked at if nothing is.
    """
    async with projects.use(name) as opened:
        found = await stored(opened)
        if found:
            return tuple(found)
        counted = await asyncio.to_thread(opened.connections.read, _wrong_counters)
        met = projects.damaged.noted(name)
        damaged = await _wrong_objects(opened, pace, fetch)
        if len(damaged) < MOST_PROBLEMS:  # else not all were looked at
            projects.damaged.checked(name, met, {(each.name, each.key) for each in damaged})
        return (*counted, *damaged)


def _wrong_counters(connection: Connection) -> list[str]:
    """Return which counts of a resource are not what is there."""
    found = []
    for column, kind, what, count in _COUNTERS:
        kinds = ("bucket",) if kind == "bucket" else ("queue", "topic", "inbox")
        marks = ", ".join("?" * len(kinds))
        rows = connection.execute(
            f"SELECT kind, name, {column}, there FROM ("  # noqa: S608
            f"SELECT kind, name, {column}, ({count}) AS there FROM resource "
            f"WHERE kind IN ({marks})) AS counted WHERE {column} <> there LIMIT ?",
            (*kinds, MOST_PROBLEMS),
        ).fetchall()
        found += [
            f"{of} {name} counts {told} {what}, but there are {there}"
            for of, name, told, there in rows
        ]
    return found


async def _wrong_objects(opened: P, pace: Pace, fetch: Keys[P]) -> list[Damaged]:
    found: list[Damaged] = []
    after = 0
    while len(found) < MOST_PROBLEMS:
        rows = await asyncio.to_thread(opened.connections.read, partial(_objects, after))
        if not rows:
            break
        for row in rows:
            while True:
                try:
                    problem = await asyncio.to_thread(_wrong_object, opened, row, pace)
                    break
                except MissingKeyError as error:
                    await fetch(opened, error.version)
            if problem:
                found.append(_named(row, problem))
        after = rows[-1][0]
    return found


Row = tuple[int, str, str, int, int, int, str | None, bytes]


def _objects(after: int, connection: Connection) -> list[Row]:
    return connection.execute(
        "SELECT object.id, resource.name, object.key, revision, key_version, size, file, sealed "
        "FROM object JOIN resource ON resource.id = bucket AND resource.kind = ? "
        "WHERE object.id > ? ORDER BY object.id LIMIT ?",
        (BUCKET, after, _BATCH),
    ).fetchall()


def _wrong_object(opened: OpenProject, row: Row, pace: Pace) -> str:
    """Return what is wrong with an object; nothing if it is whole, or was deleted meanwhile."""
    identity, bucket, key, revision, version, size, file, sealed = row
    try:
        secret = opened.object_key(version).open(
            sealed, context_of(opened.name, bucket, key, revision), file=file is not None
        )
        pace(len(sealed))
        if file is None:
            return ""
        for offset in range(0, max(size, 1), _PIECE):
            read_range(
                opened.files,
                file,
                secret,
                size,
                offset=offset,
                length=min(_PIECE, size - offset),
            )
            pace(_PIECE)
    except FileNotFoundError:
        return "" if _is_gone(opened, identity) else "its file is gone"
    except (DataCorruptError, DataError) as error:
        return error.message
    return ""


def _is_gone(opened: OpenProject, identity: int) -> bool:
    row = opened.connections.read(
        lambda c: c.execute("SELECT 1 FROM object WHERE id = ?", (identity,)).fetchone()
    )
    return row is None


def _named(row: Row, what: str) -> Damaged:
    # Keys are content, which logs must not have: the words name the row only.
    identity, bucket, key = row[:3]
    problem = f"object {identity} of bucket {bucket}: {what}"
    return Damaged(problem=problem, kind=BUCKET, name=bucket, key=key)
