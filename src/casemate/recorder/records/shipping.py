"""Records on their way to other nodes, and those of others: rows out, rows in.

What is next is claimed in one transaction with the places up to which all was claimed, and stays in
a row of its own until it is stored for the others. So a kill at any point neither loses nor repeats
anything. What is of another node goes in with the place up to which its stream was read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, NamedTuple

import msgspec

from casemate.decoding import decodable
from casemate.model.function import Logs
from casemate.model.usage import DAY, GREATEST, HOUR, SUMMED
from casemate.recorder.records import search, usage
from casemate.recorder.records.progress import place_of, remember
from casemate.recorder.records.shares import ROW_BYTES, Added
from casemate.recorder.shipment import FIRST, new_stream
from casemate.sqlite import engine
from casemate.sqlite.rows import insert_rows

MAX_ROWS: Final = 2000
"""Rows of a table in one batch."""
MAX_BYTES: Final = 768 * 1024
"""Of text in the rows of one table in a batch; one more row is in it."""
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
_AMOUNTS: Final = (*SUMMED, *GREATEST)
_KEY: Final = ("span", "start", "project", "function", "trigger", "caller", "route")
USAGE: Final = (*_KEY, *_AMOUNTS)
_STORED: Final = "stored of "
ENTRIES: Final = "shipped entries"
"""The place of what of the journal was told."""
_TEXTS: Final = {
    "invocation": "coalesce(length(trace), 0) + 300",
    "error": "length(message) + length(trace) + 300",
    "log_line": "length(text) + 200",
    "denial": "length(resource) + length(reason) + 300",
}

Value = str | int | float | None
Rows = Mapping[str, Sequence[Sequence[Value]]]
"""By table."""


class Draft(msgspec.Struct, frozen=True, array_like=True):
    """A batch that was claimed, not sealed yet."""

    stream: bytes
    number: int
    previous: bytes
    previous_at: float
    made_at: float
    until: float
    parts: dict[str, dict[str, list[tuple[Value, ...]]]]
    """Rows by table, by the project whose key seals them."""
    proof_of: int
    """Entries of the journal's head in the batch before."""
    told_from: int = 0
    """Once sealed: from where on its entries of the journal are."""


class Outgoing(NamedTuple):
    """What is next to be stored for the others: one of these is there."""

    draft: Draft | None
    content: bytes | None
    stream: bytes
    number: int


class Other(msgspec.Struct, frozen=True, array_like=True):
    """A node, and up to where its stream was read."""

    number: int
    id: str
    name: str
    stream: bytes
    place: int
    chain: bytes
    until: float
    journal: str
    head: str
    problem: str
    problem_at: float


class OtherRows(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a section holds, all of which was checked and masked where it was kept first."""

    tables: dict[
        Annotated[str, msgspec.Meta(max_length=16)],
        list[Annotated[tuple[Value, ...], msgspec.Meta(max_length=32)]],
    ]


decode_rows = msgspec.msgpack.Decoder(OtherRows).decode
_NODE: Final = """
    SELECT number, id, name, stream, place, chain, until, journal, head, problem, problem_at
    FROM node
"""
_OWN: Final = """
    INSERT INTO node VALUES (0, ?, ?, x'', 0, x'', 0, '', '', '', 0)
    ON CONFLICT (number) DO UPDATE SET id = excluded.id, name = excluded.name
    WHERE id <> excluded.id OR name <> excluded.name
"""
_NEW: Final = """
    INSERT INTO node SELECT max(number) + 1, ?, '', x'', 0, x'', 0, '', '', '', 0 FROM node
"""


# -- what is of this node ------------------------------------------------------------------------


def outgoing(
    connection: engine.Connection, name: str, node: str, now: float, *, told: bool = False
) -> Outgoing | None:
    """Return what is to be stored next: what was claimed and is not, or else what is new.

    `told`: the journal has something for the others, whether there are new rows or not.
    """
    connection.execute(_OWN, (node, name))
    row = connection.execute("SELECT stream, number, draft, content FROM shipment").fetchone()
    if row is None:
        begin(connection, now)
        return outgoing(connection, name, node, now, told=told)
    stream, number, draft, content = row
    if content is not None:
        return Outgoing(None, bytes(content), bytes(stream), number)
    if draft is not None:
        return Outgoing(_decoded(draft), None, bytes(stream), number)
    claimed = _claim(connection, now, told=told)
    return None if claimed is None else Outgoing(claimed, None, claimed.stream, claimed.number)


def begin(connection: engine.Connection, now: float) -> None:
    """Begin a stream. What waits to be stored is claimed again under it, sealed or not."""
    row = connection.execute("SELECT draft, content FROM shipment").fetchone()
    values: tuple[object, ...]
    if row is not None and row[0] is not None:
        before = _decoded(row[0])
        draft = msgspec.structs.replace(
            before,
            stream=new_stream(now), number=1, previous=FIRST, previous_at=0.0, proof_of=0,
        )  # fmt: skip
        if row[1] is not None:
            remember(connection, ENTRIES, before.told_from)
        values = (draft.stream, 1, draft.made_at, FIRST, 0.0, msgspec.msgpack.encode(draft), None)
    else:
        values = (new_stream(now), 0, 0.0, FIRST, 0.0, None, None)
    connection.execute("DELETE FROM shipment")
    connection.execute("INSERT INTO shipment VALUES (1, ?, ?, ?, ?, ?, ?, ?)", values)


def _decoded(draft: bytes) -> Draft:
    return msgspec.msgpack.decode(draft, type=decodable(Draft))


def _claim(connection: engine.Connection, now: float, *, told: bool) -> Draft | None:
    stream, number, made_at, previous, previous_at = connection.execute(
        "SELECT stream, number, made_at, previous, previous_at FROM shipment"
    ).fetchone()
    parts: dict[str, dict[str, list[tuple[Value, ...]]]] = {}
    until = now
    for table, names in NAMES.items():
        found, whole = _unshipped(connection, table, names)
        if not found:
            continue
        if not whole:
            until = min(until, float(found[-1][0] or 0.0))
        parts[table] = _by_project(table, names, found)
    usage.count(connection)
    _tell_anew(connection, now)
    sums = _unshipped_usage(connection)
    if sums:
        parts["usage"] = {"": sums}
    if not parts and not told and abs(now - made_at) < IDLE_SECONDS:
        return None
    if stored := _stored(connection, made_at):
        parts["stored"] = {"": stored}
    if bounds := _bounds(connection, parts):
        parts["bounds"] = {"": bounds}
    draft = Draft(
        bytes(stream), number + 1, bytes(previous), previous_at, now, until, parts,
        place_of(connection, "shipped head"),
    )  # fmt: skip
    connection.execute(
        "UPDATE shipment SET number = number + 1, made_at = ?, draft = ?",
        (now, msgspec.msgpack.encode(draft)),
    )
    return draft


def _unshipped(
    connection: engine.Connection, table: str, names: tuple[str, ...]
) -> tuple[list[tuple[Value, ...]], bool]:
    """Return rows after those that were claimed, and whether these are all; they are claimed."""
    place = f"shipped {table}"
    after, size, last = place_of(connection, place), 0, 0
    found: list[tuple[Value, ...]] = []
    rows = connection.execute(
        f"SELECT {', '.join(names)}, sequence, {_TEXTS[table]} FROM {table} "  # noqa: S608
        "WHERE sequence > ? AND node = 0 ORDER BY sequence LIMIT ?",
        (after, MAX_ROWS),
    )
    whole = True
    for row in rows:
        found.append(row[:-2])
        last, size = row[-2], size + row[-1]
        if size >= MAX_BYTES or len(found) == MAX_ROWS:
            whole = False
            break
    if found:
        remember(connection, place, last)
    return found, whole


def _by_project(
    table: str, names: tuple[str, ...], rows: list[tuple[Value, ...]]
) -> dict[str, list[tuple[Value, ...]]]:
    """Return rows by whose key seals them: what nobody has may be of a project that is made up."""
    if table == "denial":
        return {"": rows}
    project, version = names.index("project"), names.index("version")
    found: dict[str, list[tuple[Value, ...]]] = {}
    for row in rows:
        known = isinstance(row[version], int) and int(row[version] or 0) > 0
        found.setdefault(str(row[project]) if known else "", []).append(row)
    return found


def _unshipped_usage(connection: engine.Connection) -> list[tuple[Value, ...]]:
    rows: list[tuple[Value, ...]] = connection.execute(
        f"SELECT {', '.join(USAGE)} FROM usage INDEXED BY usage_unshipped "  # noqa: S608
        "WHERE unshipped = 1 ORDER BY span, start LIMIT ?",
        (MAX_ROWS,),
    ).fetchall()
    where = " AND ".join(f"{name} = ?" for name in _KEY)
    connection.executemany(
        f"UPDATE usage SET unshipped = 0 WHERE {where}",  # noqa: S608
        [row[: len(_KEY)] for row in rows],
    )
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
    connection: engine.Connection, parts: Mapping[str, Mapping[str, list[tuple[Value, ...]]]]
) -> list[tuple[Value, ...]]:
    """Return how long functions want the records kept that are told."""
    owners = {
        (row[names.index("project")], row[names.index("function")])
        for table, names in NAMES.items()
        if table in ROW_BYTES
        for rows in parts.get(table, {}).values()
        for row in rows
    }
    return [
        (project, function, *found)
        for project, function in sorted(owners, key=str)
        for found in connection.execute(
            "SELECT min(age), min(most) FROM record_share WHERE project = ? AND function = ? "
            "HAVING count(*) > 0",
            (project, function),
        ).fetchall()
    ]


def sealed(
    connection: engine.Connection,
    draft: Draft,
    content: bytes,
    digest: bytes,
    head: int,
    entries: int,
) -> bool:
    """Keep a claimed batch as it is stored; False where another stream was begun meanwhile.

    `head` and `entries` are up to where the journal is proven, and told.
    """
    told = msgspec.structs.replace(draft, told_from=entries_told(connection))
    changed = connection.execute(
        "UPDATE shipment SET content = ?, draft = ?, previous = ?, previous_at = ? "
        "WHERE stream = ? AND number = ? AND draft IS NOT NULL AND content IS NULL",
        (content, msgspec.msgpack.encode(told), digest, draft.made_at, draft.stream, draft.number),
    ).rowcount
    if changed:
        remember(connection, "shipped head", head)
        remember(connection, ENTRIES, entries)
    return bool(changed)


def entries_told(connection: engine.Connection) -> int:
    """Return up to where the journal was told."""
    return place_of(connection, ENTRIES)


def stored(connection: engine.Connection, stream: bytes, number: int) -> None:
    """Forget a batch that is stored."""
    connection.execute(
        "UPDATE shipment SET content = NULL, draft = NULL WHERE stream = ? AND number = ?",
        (stream, number),
    )


# -- what is of others ---------------------------------------------------------------------------


def nodes(connection: engine.Connection) -> list[Other]:
    """Return all nodes, this one with number 0."""
    return [Other(*row) for row in connection.execute(f"{_NODE} ORDER BY number").fetchall()]


def node(connection: engine.Connection, id: str) -> Other | None:
    """Return what is known of a node."""
    row = connection.execute(f"{_NODE} WHERE id = ?", (id,)).fetchone()
    return None if row is None else Other(*row)


def keep_node(connection: engine.Connection, wanted: Other) -> Other:
    """Have this known of a node, under the number that it has or gets. In a transaction."""
    if node(connection, wanted.id) is None:
        connection.execute(_NEW, (wanted.id,))
    connection.execute(
        "UPDATE node SET name = ?, stream = ?, place = ?, chain = ?, until = ?, journal = ?, "
        "head = ?, problem = ?, problem_at = ? WHERE id = ?",
        (
            *(wanted.name, wanted.stream, wanted.place, wanted.chain, wanted.until),
            *(wanted.journal, wanted.head, wanted.problem, wanted.problem_at, wanted.id),
        ),
    )
    kept = node(connection, wanted.id)
    if kept is None:
        raise TypeError("a node that was inserted is not there")
    return kept


def insert(connection: engine.Connection, number: int, every: Sequence[Rows], now: float) -> int:
    """Insert what another node has told; return how many rows. Raises engine.Error, ValueError."""
    bounds = {
        (str(row[0]), str(row[1])): Logs(keep=float(row[2] or 0), keep_bytes=int(row[3] or 0))
        for tables in every
        for row in tables.get("bounds", ())
    }
    inserted = 0
    added = Added()
    for tables in every:
        for table, names in NAMES.items():
            rows = [(*row, number) for row in tables.get(table, ())]
            if rows:
                _insert(connection, table, names, rows)
                inserted += len(rows)
            if rows and table in ROW_BYTES:
                project, function = names.index("project"), names.index("function")
                for row in rows:
                    owner = str(row[project]), str(row[function])
                    size = sum(len(str(row[names.index(one)] or "")) for one in _LONG[table])
                    added.note(*owner, table, size, bounds.get(owner, Logs()))
        for sums in tables.get("usage", ()):
            _raise_usage(connection, number, sums)
        for name, until in tables.get("stored", ()):
            place = f"{_STORED}{name}"
            remember(connection, place, max(place_of(connection, place), int(until or 0)))
    added.write(connection, now)
    return inserted


_LONG: Final = {"invocation": ("trace",), "error": ("message", "trace"), "log_line": ("text",)}


def _insert(
    connection: engine.Connection, table: str, names: tuple[str, ...], rows: list[tuple[Value, ...]]
) -> None:
    if any(len(row) != len(names) + 1 for row in rows):
        raise ValueError(f"a row of {table} has other columns")
    into = f"INSERT INTO {table} ({', '.join(names)}, node)"
    numbers = insert_rows(connection, into, rows)
    if table == "log_line":
        at, level, text = names.index("at"), names.index("level"), names.index("text")
        search.index(
            connection,
            [
                search.Written(sequence, float(row[at] or 0.0), str(row[level]), str(row[text]))
                for sequence, row in zip(numbers, rows, strict=True)
            ],
        )


_RAISE: Final = (
    f"INSERT INTO others_usage (node, {', '.join(USAGE)}) "  # noqa: S608 - names of ours
    f"VALUES ({', '.join('?' * (len(USAGE) + 1))}) ON CONFLICT DO UPDATE SET "
    + ", ".join(f"{name} = max({name}, excluded.{name})" for name in _AMOUNTS)
)


def _raise_usage(connection: engine.Connection, number: int, row: Sequence[Value]) -> None:
    """Take a node's sums, which only grow: told twice, or late, they are the same."""
    if len(row) != len(USAGE) or row[0] not in (HOUR, DAY):
        raise ValueError("a row of usage has other columns")
    connection.execute(_RAISE, (number, *row))
