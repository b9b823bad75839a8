"""Records on their way to other nodes: rows out. What is of those goes in by `received`.

What is next is read, sealed, and then claimed in one transaction: the places up to which all was
told, and the batch itself, which stays until it is stored for the others. So a kill at any point
neither loses nor repeats anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from casemate.decoding import decodable
from casemate.model.usage import DAY, GREATEST, SAMPLED, SUMMED
from casemate.recorder.records import usage
from casemate.recorder.records.columns import Value
from casemate.recorder.records.progress import place_of, remember
from casemate.recorder.records.shares import ROW_BYTES
from casemate.recorder.records.unshipped import Found, Unshipped
from casemate.recorder.shipment import FIRST, new_stream
from casemate.sqlite import engine

MAX_ROWS: Final = 4096
"""Rows of a table in one batch; fewer where a batch with so many is larger than one may be."""
MAX_BYTES: Final = 768 * 1024
"""Of text in the rows of one table in a batch; one more row is in it."""
MAX_SUMS: Final = 2000
IDLE_SECONDS: Final = 15.0
"""A node that has nothing to tell says so as often."""
ANEW_SECONDS: Final = 600.0
"""As often the sums of one more day are told again, for nodes that came later."""
KEEP_USAGE: Final = 400 * DAY
NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "invocation": (
        *("stored_at", "id", "project", "function", "version", "trigger", "outcome", "status"),
        *("started_at", "queued_ms", "run_ms", "cold", "request_bytes", "response_bytes"),
        *("error_id", "trace", "attempt", "caller", "route", "cpu_us", "memory", "peak", "uses"),
    ),
    "error": (
        *("stored_at", "id", "invocation", "project", "function", "version", "outcome", "at"),
        *("type", "message", "trace"),
    ),
    "log_line": (
        *("stored_at", "invocation", "project", "function", "version", "at", "level", "text"),
    ),
    "denial": (
        *("stored_at", "at", "kind", "principal", "action", "resource", "reason", "project"),
        *("function", "version", "invocation", "remote_address", "count"),
    ),
}
AMOUNTS: Final = (*(name for name in SUMMED if name not in SAMPLED), *GREATEST)
KEY: Final = ("span", "start", "project", "function", "trigger", "caller", "route")
USAGE: Final = (*KEY, *AMOUNTS)
SAMPLES: Final = (*KEY, *SAMPLED)
"""Told apart from USAGE, whose columns nodes of earlier releases count."""
_SUMS: Final = (*USAGE, *SAMPLED)
_STORED: Final = "stored of "
ENTRIES: Final = "shipped entries"
"""The place of what of the journal was told."""
_TEXTS: Final = {
    "invocation": "coalesce(length(trace), 0) + 300",
    "error": "length(message) + length(trace) + 300",
    "log_line": "length(text) + 200",
    "denial": "length(resource) + length(reason) + 300",
}


class Draft(NamedTuple):
    """A batch that is to be claimed once it is sealed."""

    stream: bytes
    number: int
    previous: bytes
    previous_at: float
    made_at: float
    until: float
    parts: dict[str, dict[str, Sequence[tuple[Value, ...]]]]
    """Rows by table, by the project whose key seals them."""
    proof_of: int
    """Entries of the journal's head in the batch before."""
    places: dict[str, int]
    """Up to where the tables are told with it."""
    sums: list[tuple[Value, ...]]
    """Of use, that are told with it."""
    more: bool
    """There is more than one batch may have."""


class Waiting(NamedTuple):
    """A batch that waits to be stored for the others."""

    stream: bytes
    number: int
    content: bytes


class Outgoing(NamedTuple):
    """What is next to be stored for the others: one of these is there."""

    draft: Draft | None
    waiting: Waiting | None


class Sealed(NamedTuple):
    """A batch as it is stored, with what is kept of it."""

    content: bytes
    digest: bytes
    head: int
    """Up to where the journal is proven."""
    entries: int
    """Up to where the journal is told."""


class _Claimed(msgspec.Struct, frozen=True, array_like=True):
    """A batch that was claimed before it was sealed, as it was before they were so together."""

    stream: bytes
    number: int
    previous: bytes
    previous_at: float
    made_at: float
    until: float
    parts: dict[str, dict[str, list[tuple[Value, ...]]]]
    proof_of: int


_OWN: Final = """
    INSERT INTO node VALUES (0, ?, ?, x'', 0, x'', 0, '', '', '', 0)
    ON CONFLICT (number) DO UPDATE SET id = excluded.id, name = excluded.name
    WHERE id <> excluded.id OR name <> excluded.name
"""


def outgoing(
    connection: engine.Connection,
    unshipped: Unshipped,
    name: str,
    node: str,
    now: float,
    *,
    told: bool = False,
    stored: tuple[bytes, int] | None = None,
    most: int,
) -> Outgoing | None:
    """Return what is to be stored next: what was claimed and is not, or else what is new.

    `stored` is, and is forgotten. `told`: the journal has something for the others, whether there
    are new rows or not. At most so many rows of a table.
    """
    connection.execute(_OWN, (node, name))
    if stored is not None:
        connection.execute(
            "UPDATE shipment SET content = NULL, draft = NULL WHERE stream = ? AND number = ?",
            stored,
        )
    row = connection.execute("SELECT stream, number, draft, content FROM shipment").fetchone()
    if row is None:
        begin(connection, new_stream(now))
        return outgoing(connection, unshipped, name, node, now, told=told, most=most)
    stream, number, draft, content = row
    if content is not None:
        return Outgoing(None, Waiting(bytes(stream), number, bytes(content)))
    if draft is not None:
        return Outgoing(_claimed_before(draft), None)
    made = _draft(connection, unshipped, now, told=told, most=most)
    return None if made is None else Outgoing(made, None)


def _claimed_before(text: bytes) -> Draft:
    found = msgspec.msgpack.decode(text, type=decodable(_Claimed))
    parts: dict[str, dict[str, Sequence[tuple[Value, ...]]]] = {}
    for table, projects in found.parts.items():
        for project, rows in projects.items():
            parts.setdefault(project, {})[table] = rows
    return Draft(
        found.stream, found.number, found.previous, found.previous_at, found.made_at, found.until,
        parts, found.proof_of, {}, [], more=True,
    )  # fmt: skip


def begin(connection: engine.Connection, stream: bytes) -> None:
    """Begin a stream, with nothing that waits to be stored."""
    connection.execute("DELETE FROM shipment")
    connection.execute(
        "INSERT INTO shipment VALUES (1, ?, 0, 0.0, ?, 0.0, NULL, NULL)", (stream, FIRST)
    )


def _draft(
    connection: engine.Connection, unshipped: Unshipped, now: float, *, told: bool, most: int
) -> Draft | None:
    stream, number, made_at, previous, previous_at = connection.execute(
        "SELECT stream, number, made_at, previous, previous_at FROM shipment"
    ).fetchone()
    parts: dict[str, dict[str, Sequence[tuple[Value, ...]]]] = {}
    own: dict[str, Sequence[tuple[Value, ...]]] = {}
    places: dict[str, int] = {}
    until, more = now, False
    for table, names in NAMES.items():
        place = f"shipped {table}"
        after = place_of(connection, place)
        found = unshipped.after(table, after, most, MAX_BYTES)
        if found is None:
            found = _read(connection, table, names, after, most)
        if not found.rows:
            continue
        if not found.whole:
            until, more = min(until, float(found.rows[-1][0] or 0.0)), True
        places[place], own[table] = found.last, found.rows
        for project, rows in _by_project(table, names, found.rows).items():
            parts.setdefault(project, {})[table] = rows
    usage.count(connection)
    _tell_anew(connection, now)
    node = parts.setdefault("", {})
    if sums := _unshipped_usage(connection, most):
        node["usage"] = [row[: len(USAGE)] for row in sums]
        if samples := [(*row[: len(KEY)], *row[len(USAGE) :]) for row in sums if row[len(USAGE)]]:
            node["sampled"] = samples
    if not node and not own and not told and abs(now - made_at) < IDLE_SECONDS:
        return None
    if stored := _stored(connection, made_at):
        node["stored"] = stored
    if bounds := _bounds(connection, own):
        node["bounds"] = bounds
    proof_of = place_of(connection, "shipped head")
    return Draft(
        bytes(stream), number + 1, bytes(previous), previous_at, now, until, parts,
        proof_of, places, sums, more or len(sums) == min(most, MAX_SUMS),
    )  # fmt: skip


def _read(
    connection: engine.Connection, table: str, names: tuple[str, ...], after: int, most: int
) -> Found:
    """Return rows after those that were told, from the table itself."""
    size, last = 0, after
    found: list[tuple[Value, ...]] = []
    rows = connection.execute(
        f"SELECT {', '.join(names)}, sequence, {_TEXTS[table]} FROM {table} "  # noqa: S608
        "WHERE sequence > ? AND node = 0 ORDER BY sequence LIMIT ?",
        (after, most),
    )
    for row in rows:
        found.append(row[:-2])
        last, size = row[-2], size + row[-1]
        if size >= MAX_BYTES or len(found) == most:
            return Found(found, last, whole=False)
    return Found(found, last, whole=True)


def _by_project(
    table: str, names: tuple[str, ...], rows: list[tuple[Value, ...]]
) -> dict[str, list[tuple[Value, ...]]]:
    """Return rows by whose key seals them: what nobody has may be of a project that is made up."""
    if table == "denial":
        return {"": rows}
    project, version = names.index("project"), names.index("version")
    # A column that is an integer, as its table says.
    owners = {(row[project], row[version] > 0) for row in rows}  # type: ignore[operator]
    if len(owners) == 1:
        [(one, known)] = owners
        return {str(one) if known else "": rows}
    found: dict[str, list[tuple[Value, ...]]] = {}
    for row in rows:
        known = row[version] > 0  # type: ignore[operator]
        found.setdefault(str(row[project]) if known else "", []).append(row)
    return found


def _unshipped_usage(connection: engine.Connection, most: int) -> list[tuple[Value, ...]]:
    rows: list[tuple[Value, ...]] = connection.execute(
        f"SELECT {', '.join(_SUMS)} FROM usage INDEXED BY usage_unshipped "  # noqa: S608
        "WHERE unshipped = 1 ORDER BY span, start LIMIT ?",
        (min(most, MAX_SUMS),),
    ).fetchall()
    return rows


def _tell_anew(connection: engine.Connection, now: float) -> None:
    """Have the sums of one more day told again, round and round."""
    if now - place_of(connection, "usage told anew at") < ANEW_SECONDS:
        return
    remember(connection, "usage told anew at", int(now))
    oldest = int((now - KEEP_USAGE) // DAY * DAY)
    day = max(place_of(connection, "usage told anew") + DAY, oldest)
    if day > now:
        day = oldest
    # Days of which nothing is there cost nobody a turn.
    row = connection.execute(
        "SELECT min(start) FROM usage WHERE span = ? AND start >= ?", (DAY, day)
    ).fetchone()
    day = int(now) if row[0] is None else int(row[0])
    remember(connection, "usage told anew", day)
    connection.execute("UPDATE usage SET unshipped = 1 WHERE span = ? AND start = ?", (DAY, day))


def _stored(connection: engine.Connection, since: float) -> list[tuple[Value, ...]]:
    """Return up to when the bytes that projects keep were counted lately."""
    rows: list[tuple[Value, ...]] = connection.execute(
        "SELECT substr(name, ?), until FROM progress WHERE name > ? AND name < ? AND until >= ?",
        (len(_STORED) + 1, _STORED, _STORED + "\x7f", int(since)),
    ).fetchall()
    return rows


def _bounds(
    connection: engine.Connection, own: Mapping[str, Sequence[tuple[Value, ...]]]
) -> list[tuple[Value, ...]]:
    """Return how long functions want the records kept that are told."""
    owners: set[tuple[Value, Value]] = set()
    for table in ROW_BYTES:
        project, function = NAMES[table].index("project"), NAMES[table].index("function")
        owners.update([(row[project], row[function]) for row in own.get(table, ())])
    return [
        (project, function, *found)
        for project, function in sorted(owners, key=str)
        for found in connection.execute(
            "SELECT min(age), min(most) FROM record_share WHERE project = ? AND function = ? "
            "HAVING count(*) > 0",
            (project, function),
        ).fetchall()
    ]


_TOLD_SUMS: Final = (
    "UPDATE usage SET unshipped = 0 WHERE "  # noqa: S608 - names of ours
    + " AND ".join(f"{name} = ?" for name in _SUMS)
)
"""Those that were raised meanwhile are told again."""


def claim(connection: engine.Connection, draft: Draft, sealed: Sealed) -> bool:
    """Keep a batch as it is stored, with how far all is told; False where another one is there."""
    changed = connection.execute(
        "UPDATE shipment SET number = ?, made_at = ?, content = ?, draft = NULL, previous = ?, "
        "previous_at = ? WHERE stream = ? AND number IN (?, ?) AND content IS NULL",
        (
            *(draft.number, draft.made_at, sealed.content, sealed.digest, draft.made_at),
            *(draft.stream, draft.number - 1, draft.number),
        ),
    ).rowcount
    if not changed:
        return False
    for place, last in draft.places.items():
        remember(connection, place, last)
    connection.executemany(_TOLD_SUMS, draft.sums)
    remember(connection, "shipped head", sealed.head)
    remember(connection, ENTRIES, sealed.entries)
    return True


def waiting(connection: engine.Connection) -> Waiting | None:
    """Return the batch that waits to be stored."""
    row = connection.execute(
        "SELECT stream, number, content FROM shipment WHERE content IS NOT NULL"
    ).fetchone()
    return None if row is None else Waiting(bytes(row[0]), row[1], bytes(row[2]))


def begin_with(connection: engine.Connection, draft: Draft, sealed: Sealed) -> bool:
    """Begin a stream with what waited to be stored under another."""
    begin(connection, draft.stream)
    return claim(connection, draft, sealed)


def entries_told(connection: engine.Connection) -> int:
    """Return up to where the journal was told."""
    return place_of(connection, ENTRIES)
