"""Finding log lines: by whose they are with an index, by what they say with one of blocks.

Lines that were written together are a block, which is noted with its newest time, its worst level
and the three-letter parts of its texts (the engine's trigrams, without their places). So whole
blocks are passed over, and only the lines of those that may hold what is wanted are looked at. An
index of single lines would be four times as large, and twenty times as slow to write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from casemate.model.log_filter import MAX_LINES_SEARCHED, LineFilter, LogLevel
from casemate.operations.records import ReadLogs
from casemate.recorder.records.progress import place_of, remember
from casemate.sqlite import engine
from casemate.sqlite.questions import conditions

BLOCK_LINES = 64
BLOCK_CHARACTERS = 32 * 1024
FEW_LINES = 50_000
PART = 3
"""Letters of a part; a shorter text has none to look for."""
MAX_PARTS = 40
"""Parts of a text that are looked for in the index; the lines themselves are compared whole."""

_SELECT = (
    "SELECT invocation, project, function, version, at, level, text, "
    "coalesce((SELECT name FROM node WHERE number = log_line.node), ''), sequence FROM log_line "
)
_RANKS = {level.value: rank for rank, level in enumerate(LogLevel)} | {"stdout": 1}
_SWEEP = "sweep"
_UNKNOWN_RANK = len(LogLevel)
"""Of a level that a function made up: it is wanted whatever level is."""

Values = tuple[str | int | float, ...]


class Span(NamedTuple):
    """Which lines may be looked at."""

    after: int
    """Those with a greater sequence, ascending; 0: all, the newest first."""
    at: int | None
    """Where the page before ended."""

    @property
    def ascending(self) -> bool:
        """Whether the oldest come first."""
        return self.after > 0

    @property
    def lowest(self) -> int:
        """The lowest sequence."""
        return (self.after if self.at is None or not self.ascending else self.at) + 1

    @property
    def before(self) -> int | None:
        """The sequence that all have to be lower than, None where there is none."""
        return None if self.ascending else self.at

    @property
    def highest(self) -> int:
        """The highest sequence."""
        return 2**63 - 1 if self.before is None else self.before - 1


class Written(NamedTuple):
    """A line that was inserted just now."""

    sequence: int
    at: float
    level: str
    text: str


def index(connection: engine.Connection, written: Sequence[Written]) -> None:
    """Note lines that were written together, in blocks."""
    block: list[Written] = []
    characters = 0
    for line in written:
        if block and (
            len(block) == BLOCK_LINES
            or characters >= BLOCK_CHARACTERS
            or line.sequence != block[-1].sequence + 1
        ):
            _note(connection, block)
            block, characters = [], 0
        block.append(line)
        characters += len(line.text)
    if block:
        _note(connection, block)


def _note(connection: engine.Connection, block: list[Written]) -> None:
    first = block[0].sequence
    connection.execute(
        "INSERT INTO log_block (first, last, newest, worst) VALUES (?, ?, ?, ?)",
        (
            first,
            block[-1].sequence,
            max([line.at for line in block]),
            max([_RANKS.get(line.level, _UNKNOWN_RANK) for line in block]),
        ),
    )
    # The engine reads a text up to its first NUL.
    text = "\n".join([line.text for line in block]).replace("\0", "\n")
    connection.execute("INSERT INTO log_text (rowid, text) VALUES (?, ?)", (first, text))


def are_few(connection: engine.Connection, operation: ReadLogs) -> bool:
    """Tell whether it is quicker to look at all lines of whose are wanted than at blocks."""
    if operation.invocation is not None:
        return True
    where, values = conditions(
        (("kind", "log_line"), ("function", operation.function), ("project", operation.project))
    )
    if len(values) == 1:
        return False
    (number,) = connection.execute(
        f"SELECT coalesce(sum(number), 0) FROM record_share {where}",  # noqa: S608
        values,
    ).fetchone()
    return int(number) <= FEW_LINES


def lines(
    connection: engine.Connection, operation: ReadLogs, span: Span
) -> Iterable[tuple[Any, ...]]:
    """Return the rows of whose lines are wanted, in the order of the span."""
    wanted, more = _wanted(operation.only)
    where, values = conditions(
        (
            ("invocation", operation.invocation),
            ("function", operation.function),
            ("project", operation.project),
        )
    )
    for sign, bound in ((">=", span.lowest if span.ascending else None), ("<", span.before)):
        if bound is not None:
            where += f"{' AND' if where else 'WHERE'} sequence {sign} ?"
            values = (*values, bound)
    where += f"{' AND' if where else 'WHERE'} {wanted}"
    return connection.execute(
        f"{_SELECT}{where} ORDER BY sequence {_direction(span)} LIMIT ?",
        (*values, *more, operation.limit),
    )


def found(
    connection: engine.Connection, operation: ReadLogs, span: Span
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of lines by what they say, block by block, in the order of the span.

    The lines of as many blocks as hold MAX_LINES_SEARCHED are looked at.
    """
    wanted, more = _wanted(operation.only)
    terms = [
        (f"+{column} = ?", value)
        for column, value in (("function", operation.function), ("project", operation.project))
        if value is not None
    ]
    own = " AND ".join([term for term, _ in terms] or ["TRUE"])
    # By its place alone: an index of the function would be read whole for each block.
    query = (
        f"{_SELECT}WHERE sequence BETWEEN ? AND ? AND {own} AND {wanted} "
        f"ORDER BY sequence {_direction(span)}"
    )
    values = (*(value for _, value in terms), *more)
    left, unseen = operation.limit, MAX_LINES_SEARCHED
    for first, last in _blocks(connection, operation.only, span):
        bounds = (max(first, span.lowest), min(last, span.highest))
        rows = connection.execute(query, (*bounds, *values)).fetchall()
        yield from rows[:left]
        left -= len(rows)
        unseen -= last - first + 1
        if left <= 0 or unseen <= 0:
            return


def _blocks(
    connection: engine.Connection, only: LineFilter, span: Span
) -> Iterator[tuple[int, int]]:
    """Yield the blocks that may hold what is wanted."""
    where = "b.last >= ? AND b.first <= ?"
    wanted: list[str | int | float] = [span.lowest, span.highest]
    if only.since is not None:
        where += " AND b.newest >= ?"
        wanted.append(only.since)
    if only.level is not None:
        where += " AND b.worst >= ?"
        wanted.append(_RANKS[only.level])
    order, place = _direction(span), "b.first"
    source = "log_block b"
    parts = " AND ".join(filter(None, (_parts(only.search or ""), _parts(only.named))))
    if parts:
        # The index of texts first, in its own order: what has no such text is never looked at.
        source, place = "log_text t CROSS JOIN log_block b ON b.first = t.rowid", "t.rowid"
        where = f"t.log_text MATCH ? AND t.rowid <= ? AND {where}"
        wanted = [parts, span.highest, *wanted]
    rows = connection.execute(
        f"SELECT b.first, b.last FROM {source} WHERE {where} ORDER BY {place} {order}",  # noqa: S608
        tuple(wanted),
    )
    yield from rows


def _parts(text: str) -> str:
    """Return the question for blocks with all parts of a text, empty where it has none."""
    every = [text[start : start + PART] for start in range(len(text) - PART + 1)]
    step = -(-len(every) // MAX_PARTS) if every else 1
    # No text of the index has a NUL.
    chosen = [part for part in dict.fromkeys(every[::step]) if "\0" not in part]
    return " AND ".join('"' + part.replace('"', '""') + '"' for part in chosen)


def _direction(span: Span) -> str:
    return "ASC" if span.ascending else "DESC"


def _wanted(only: LineFilter) -> tuple[str, Values]:
    """Return the condition that `LineFilter.wants` is, and its values."""
    parts: list[tuple[str, Values]] = [("TRUE", ())]
    if only.since is not None:
        parts.append(("at >= ?", (only.since,)))
    if only.version is not None:
        parts.append(("+version = ?", (only.version,)))
    if unwanted := only.unwanted_levels:
        parts.append((f"level NOT IN ({','.join('?' * len(unwanted))})", unwanted))
    if only.search is not None:
        parts.append(("instr(lower(text), lower(?)) > 0", (only.search,)))
    if fields := only.fields:
        any_of = " OR ".join(["instr(text, ?) > 0"] * len(fields))
        parts.append((f"({any_of})", fields))
    condition = " AND ".join(condition for condition, _ in parts)
    return condition, tuple(value for _, values in parts for value in values)


def prune_blocks(connection: engine.Connection, *, batch: int) -> int:
    """Forget blocks none of whose lines is left, of the next `batch`; return how many.

    Each call goes on where the one before ended, and begins anew after the last.
    """
    place = place_of(connection, _SWEEP)
    rows = connection.execute(
        "SELECT first, last FROM log_block WHERE first > ? ORDER BY first LIMIT ?", (place, batch)
    ).fetchall()
    gone = [
        (first,)
        for first, last in rows
        if connection.execute(
            "SELECT 1 FROM log_line WHERE sequence BETWEEN ? AND ? LIMIT 1", (first, last)
        ).fetchone()
        is None
    ]
    connection.executemany("DELETE FROM log_block WHERE first = ?", gone)
    connection.executemany("DELETE FROM log_text WHERE rowid = ?", gone)
    remember(connection, _SWEEP, rows[-1][0] if len(rows) == batch else 0)
    return len(gone)
