"""Forgetting invocations, errors, log lines and denials, a small batch at a time.

Nobody asks for it: the bounds alone do. Age is that of `stored_at`, the recorder's own clock:
what a function claims as the time of a line cannot keep it for ever.

What is beyond the node's bounds goes from whoever has the most: projects share alike, and so do the
functions of a project that has more than its share. One that floods pushes out its own and leaves
the history of all others. Denials beyond their number likewise go from whoever has the most of
them, so that a hundred thousand requests of nobody leave what is on record of known callers.
"""

from __future__ import annotations

from collections.abc import Mapping

from casemate.recorder.records import forgetting
from casemate.recorder.records.holding import expire, free, without_held
from casemate.recorder.records.options import RecordsOptions
from casemate.recorder.records.search import prune_blocks
from casemate.recorder.records.shares import (
    BYTES,
    TABLES,
    Place,
    Share,
    level,
    shares,
    surplus,
    taken,
)
from casemate.sqlite import engine

PRUNED_TABLES = (*TABLES, "denial")
_DENIALS = "\0"
"""No name of a project."""
_DENIAL_BYTES = 500
_MOST_AGES = 200
"""Functions with an age of their own that are looked at in one go, drawn by lot."""

_OLD = """
    DELETE FROM {table} WHERE sequence IN (
        SELECT sequence FROM (
            SELECT sequence, stored_at FROM {table} WHERE {free} ORDER BY sequence LIMIT :batch
        )
        WHERE stored_at < :cutoff
    )
"""
_OLD_OF = """
    DELETE FROM {table} WHERE sequence IN (
        SELECT sequence FROM (
            SELECT sequence, stored_at FROM {table} INDEXED BY {table}_owner
            WHERE project = :project AND function = :function AND {free}
            ORDER BY sequence LIMIT :batch
        )
        WHERE stored_at < :cutoff
    ) RETURNING project, function, {size}
"""
_GROUPS = """
    SELECT principal, kind, count(*) AS number FROM denial INDEXED BY denial_principal
    WHERE {free} GROUP BY principal, kind ORDER BY number DESC
"""
_FIRST_DENIALS = """
    DELETE FROM denial WHERE sequence IN (
        SELECT sequence FROM denial INDEXED BY denial_principal
        WHERE principal = ? AND kind = ? AND {free} ORDER BY sequence LIMIT ?
    )
"""
_FIRST_OF = """
    DELETE FROM {table} WHERE sequence IN (
        SELECT sequence FROM {table} INDEXED BY {table}_owner
        WHERE project = :project AND function = :function AND {free}
        ORDER BY sequence LIMIT :batch
    ) RETURNING project, function, {size}
"""


def prune(
    connection: engine.Connection,
    options: RecordsOptions,
    *,
    now: float,
    batch: int,
    beside: int | None = None,
) -> bool:
    """Delete up to `batch` rows of each kind for each of the bounds that asks for it.

    Returns True if more may be left to delete. `now` is Unix time in seconds, `beside` what the
    volume has free beside its reserve, if that counts. Runs inside a transaction of the caller's;
    raises engine.Error.
    """
    expire(connection, now)
    used = used_bytes(connection)
    full = used > options.max_bytes
    short = used > most_bytes(connection, options, beside)
    deleted = []
    for table in PRUNED_TABLES:
        values = {"batch": batch, "cutoff": now - options.retention}
        if table == "denial":
            statement = _OLD.format(table=table, free=free(connection, table))
            old = connection.execute(statement, values).rowcount
            forgetting.note(connection, table, {"": old})
            deleted.append(old)
        else:
            statement = f"{_OLD} RETURNING project, function, {{size}}"
            deleted.append(_delete(connection, table, statement, values))
    deleted += _prune_ages(connection, options, now=now, batch=batch)
    deleted += _prune_beyond(connection, options, batch=batch)
    deleted.append(_prune_denials(connection, options.max_denials, batch=batch))
    if full:
        deleted.append(_make_room(connection, batch=batch))
    elif short:
        # What functions print alone: what ran, failed and was denied is worth the reserve.
        deleted.append(_make_room(connection, batch=batch, lines_alone=True))
    prune_blocks(connection, batch=batch)
    return max(deleted) >= batch or ((full or short) and any(deleted))


def _delete(
    connection: engine.Connection,
    table: str,
    statement: str,
    values: Mapping[str, str | int | float],
) -> int:
    """Delete rows, take them off what their owners have, and return how many they are."""
    whole = statement.format(table=table, size=BYTES[table], free=free(connection, table))
    return taken(connection, table, connection.execute(whole, values).fetchall())


def _prune_ages(
    connection: engine.Connection, options: RecordsOptions, *, now: float, batch: int
) -> list[int]:
    """Delete what functions do not want kept for as long as the node does."""
    rows = connection.execute(
        "SELECT project, function, kind, age FROM record_share WHERE age < ? "
        "ORDER BY random() LIMIT ?",
        (options.retention, _MOST_AGES),
    ).fetchall()
    return [
        _delete(
            connection,
            kind,
            _OLD_OF,
            {"project": project, "function": function, "cutoff": now - age, "batch": batch},
        )
        for project, function, kind, age in rows
    ]


def _prune_beyond(
    connection: engine.Connection, options: RecordsOptions, *, batch: int
) -> list[int]:
    """Delete what is beyond the node's number of each kind, and beyond a function's own bytes."""
    found = without_held(connection, shares(connection))
    deleted = []
    for table in TABLES:
        numbers = {share.place: share.number for share in found if share.kind == table}
        deleted.append(_give_up(connection, surplus(numbers, options.max_records), batch=batch))
    owned: dict[tuple[str, str], list[Share]] = {}
    for share in found:
        owned.setdefault((share.project, share.function), []).append(share)
    for own in owned.values():
        if sum(share.bytes for share in own) > min(share.most for share in own):
            sizes = {share.place: share.bytes for share in own}
            over = surplus(sizes, min(share.most for share in own))
            deleted.append(_give_up(connection, _rows(own, over), batch=batch))
    return deleted


def _make_room(connection: engine.Connection, *, batch: int, lines_alone: bool = False) -> int:
    """Delete up to `batch` rows of those whose records take the most bytes.

    Denials count as a project's of their own.
    """
    found = without_held(connection, shares(connection))
    if lines_alone:
        found = [share for share in found if share.kind == "log_line"]
    else:
        found.append(_denial_share(connection))
    number, size = sum(share.number for share in found), sum(share.bytes for share in found)
    if not number:
        return 0
    over = surplus({share.place: share.bytes for share in found}, size - size * batch // number)
    rows = _rows(found, over)
    if lines_alone:
        return _give_up(connection, rows, batch=batch)
    denials = min(rows.pop(found[-1].place, 0), batch)
    deleted = _give_up(connection, rows, batch=batch - denials)
    return deleted + _prune_denials(connection, found[-1].number - denials, batch=denials)


def _denial_share(connection: engine.Connection) -> Share:
    number = _free_denials(connection)
    return Share(_DENIALS, "", "denial", number, number * _DENIAL_BYTES, 0.0, 0)


def _rows(found: list[Share], over: dict[Place, int]) -> dict[Place, int]:
    """Return how many rows have so many bytes, by what one has on average."""
    return {
        share.place: -(-over[share.place] * share.number // share.bytes)
        for share in found
        if over.get(share.place)
    }


def _give_up(connection: engine.Connection, over: dict[Place, int], *, batch: int) -> int:
    """Delete the oldest rows of each, the largest surplus first, `batch` at most."""
    deleted = 0
    for (project, function, kind), number in sorted(over.items(), key=lambda one: -one[1]):
        wanted = min(number, batch - deleted)
        if wanted <= 0:
            break
        values: dict[str, str | int | float] = {
            "project": project,
            "function": function,
            "batch": wanted,
        }
        deleted += _delete(connection, kind, _FIRST_OF, values)
    return deleted


def _prune_denials(connection: engine.Connection, keep: int, *, batch: int) -> int:
    """Delete up to `batch` denials beyond `keep`, of the largest groups; return how many.

    A group is what one principal was denied in one kind. All callers without a token are one
    principal, and so is each function.
    """
    number = _free_denials(connection)
    if number <= keep:
        return 0
    unheld = free(connection, "denial")
    groups = connection.execute(_GROUPS.format(free=unheld)).fetchall()
    most_of_one = level([count for _, _, count in groups], keep)
    deleted = 0
    for principal, kind, count in groups:
        wanted = min(count - most_of_one, number - keep - deleted, batch - deleted)
        if wanted <= 0:
            break
        deleted += connection.execute(
            _FIRST_DENIALS.format(free=unheld), (principal, kind, wanted)
        ).rowcount
    forgetting.note(connection, "denial", {"": deleted})
    return deleted


def _free_denials(connection: engine.Connection) -> int:
    """Return how many denials are under no hold."""
    statement = "SELECT count(*) FROM denial WHERE {free}"
    found = connection.execute(statement.format(free=free(connection, "denial"))).fetchone()
    return int(found[0])


def used_bytes(connection: engine.Connection) -> int:
    """Return the size of the database without its free pages, which are used again."""
    pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
    return pages * engine.PAGE_BYTES - free_bytes(connection)


def free_bytes(connection: engine.Connection) -> int:
    """Return what of the file is free to be used again."""
    pages: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
    return pages * engine.PAGE_BYTES


def most_bytes(connection: engine.Connection, options: RecordsOptions, beside: int | None) -> int:
    """Return how many bytes may be used now, if the volume has `beside` free beside its reserve.

    The file does not shrink. Lines that are deleted for a reserve that is not whole make room
    within it, so that it grows no further; half of it stays, whatever else fills the volume.
    """
    if beside is None:
        return options.max_bytes
    pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
    whole = pages * engine.PAGE_BYTES
    return min(options.max_bytes, max(whole + beside, whole // 2))
