"""Records on their way to other nodes, and those of others: rows out, rows in.

What is next is read, sealed, and then claimed in one transaction: the places up to which all was
told, and the batch itself, which stays until it is stored for the others. So a kill at any point
neither loses nor repeats anything. What is of another node goes in with the place up to which its
stream was read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from casemate.decoding import decodable
from casemate.model.function import Logs
from casemate.model.usage import DAY, GREATEST, HOUR, SAMPLED, SUMMED
from casemate.recorder.records import search, usage
from casemate.recorder.records.columns import Value
from casemate.recorder.records.progress import place_of, remember
from casemate.recorder.records.shares import ROW_BYTES, Added
from casemate.recorder.records.unshipped import Found, Unshipped
from casemate.recorder.shipment import FIRST, new_stream
from casemate.sqlite import engine
from casemate.sqlite.rows import insert_rows

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
_AMOUNTS: Final = (*(name for name in SUMMED if name not in SAMPLED), *GREATEST)
_KEY: Final = ("span", "start", "project", "function", "trigger", "caller", "route")
USAGE: Final = (*_KEY, *_AMOUNTS)
SAMPLES: Final = (*_KEY, *SAMPLED)
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

Rows = Mapping[str, Sequence[Sequence[Value]]]
"""By table."""


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
        if samples := [(*row[: len(_KEY)], *row[len(USAGE) :]) for row in sums if row[len(USAGE)]]:
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
        (str(project), str(function)): Logs(keep=float(age or 0), keep_bytes=int(most or 0))
        for tables in every
        for project, function, age, most in tables.get("bounds", ())
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
        for samples in tables.get("sampled", ()):
            _raise_samples(connection, number, samples)
        for name, until in tables.get("stored", ()):
            usage.counted_elsewhere(connection, str(name), int(until or 0), now)
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


_RAISE_SAMPLES: Final = (
    "UPDATE others_usage SET "  # noqa: S608 - names of ours
    + ", ".join(f"{name} = max({name}, ?)" for name in SAMPLED)
    + " WHERE "
    + " AND ".join(f"{name} = ?" for name in ("node", *_KEY))
)


def _raise_samples(connection: engine.Connection, number: int, row: Sequence[Value]) -> None:
    """Take a node's samples, beside its sums of the same batch, which make the row."""
    if len(row) != len(SAMPLES):
        raise ValueError("a row of samples has other columns")
    connection.execute(_RAISE_SAMPLES, (*row[len(_KEY) :], number, *row[: len(_KEY)]))
