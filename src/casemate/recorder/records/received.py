"""Records of other nodes: rows in, with the place up to which each node's stream was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from casemate.model.function import Logs
from casemate.model.usage import DAY, HOUR, SAMPLED
from casemate.recorder.records import search, usage
from casemate.recorder.records.columns import Value
from casemate.recorder.records.shares import ROW_BYTES, Added
from casemate.recorder.records.shipping import AMOUNTS, KEY, NAMES, SAMPLES, USAGE
from casemate.sqlite import engine
from casemate.sqlite.rows import insert_rows

Rows = Mapping[str, Sequence[Sequence[Value]]]
"""By table."""


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


_NEW: Final = """
    INSERT INTO node SELECT max(number) + 1, ?, '', x'', 0, x'', 0, '', '', '', 0 FROM node
"""


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
    + ", ".join(f"{name} = max({name}, excluded.{name})" for name in AMOUNTS)
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
    + " AND ".join(f"{name} = ?" for name in ("node", *KEY))
)


def _raise_samples(connection: engine.Connection, number: int, row: Sequence[Value]) -> None:
    """Take a node's samples, beside its sums of the same batch, which make the row."""
    if len(row) != len(SAMPLES):
        raise ValueError("a row of samples has other columns")
    connection.execute(_RAISE_SAMPLES, (*row[len(KEY) :], number, *row[: len(KEY)]))
