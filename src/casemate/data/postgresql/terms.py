"""The terms of PostgreSQL: sealed values, keys as bytes, the server's clock, numbers of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, cast

from casemate.data.attributes import Scalar
from casemate.data.errors import DataLockedError
from casemate.data.limits import MAX_RESULT_BYTES
from casemate.data.postgresql.catalogue import ABANDONED, GONE_SECONDS
from casemate.data.postgresql.clock import ServerClock
from casemate.data.postgresql.connection import ProjectConnection
from casemate.data.postgresql.ordering import ordered, value_of
from casemate.data.postgresql.schema import column_types
from casemate.data.postgresql.sealing import OVERHEAD, Sealer
from casemate.data.terms import Bound, Holder, Stored, made_token
from casemate.postgresql.arrays import KINDS, Array, Contents, columns
from casemate.sqlite.engine import Connection

CLAIM_SECONDS: Final = 60.0
"""A node that was not seen for as long has given up what it had claimed."""
_ROWS_AT_ONCE: Final = 1024
_NUMBERS_AT_ONCE: Final = {"message": 1024}
"""How many are taken at most where many follow. Of others none is left out: gaps are counted."""
_OPTIONAL: Final = frozenset(
    {
        *("message labels", "message attributes", "letter labels", "letter attributes"),
        *("letter trigger", "letter type", "letter reason", "item labels", "object labels"),
        *("result type", "reason"),
    }
)
"""What may be nothing, and is kept as nothing then. What matters of it binds what is beside it."""
_START: Final = (
    "SELECT CAST(extract(epoch FROM clock_timestamp()) AS REAL), "
    "(SELECT number FROM revision), (SELECT life FROM holder WHERE node = ?), "
    "CASE WHEN ? > 0 THEN setval('message_number', nextval('message_number') + ? - 1) END"
)
_ITEMS: Final = (
    "SELECT floor, wanted.key, wanted.sort, item.id, revision, expires_at, "
    "coalesce(value, x'') AS value, coalesce(labels, x'') AS labels "
    "FROM unnest(?, ?) AS wanted (key, sort) JOIN resource ON resource.id = ? "
    # A limit keeps the planner from reading the table for a join.
    "LEFT JOIN LATERAL (SELECT id, revision, expires_at, value, labels FROM item "
    "WHERE tab = resource.id AND key = wanted.key AND sort = wanted.sort LIMIT 1) AS item ON true"
)
_CLOCK: Final = "SELECT CAST(extract(epoch FROM clock_timestamp()) AS REAL)"
_NUMBERS: Final = {
    kind: f"SELECT setval('{kind}_number', nextval('{kind}_number') + ?)"
    for kind in ("message", "letter", "status")
}


@lru_cache(16)
def _kinds(into: str) -> tuple[type[Array], ...]:
    """Return of what kinds the columns are that a statement inserts into."""
    head, _, names = into.rstrip(")").partition("(")
    types = column_types(head.split()[2])
    return tuple(KINDS[types[name.strip()]] for name in names.split(","))


@lru_cache(256)
def _selected(into: str, constant: tuple[bool, ...]) -> str:
    """Return a statement for rows of which some columns are given as one value for all."""
    head, _, names = into.rstrip(")").partition("(")
    types = column_types(head.split()[2])
    wanted = [
        f"CAST(? AS {types[name.strip()]})" if same else f"c{at}"
        for at, (name, same) in enumerate(zip(names.split(","), constant, strict=True))
    ]
    varying = [f"c{at}" for at, same in enumerate(constant) if not same]
    return (
        f"{into} SELECT {', '.join(wanted)} "  # noqa: S608 - of the code
        f"FROM unnest({', '.join('?' * len(varying))}) AS listed ({', '.join(varying)})"
    )


def _is_array(given: object) -> bool:
    return isinstance(given, Array)


@dataclass(slots=True)
class Shared:
    """What the connections of one project on one node have in common."""

    sealer: Sealer
    holder: Holder
    clock: ServerClock
    tokens: bytes = field(default=b"", repr=False)
    """Makes what is kept of texts that are only compared."""


class PostgresqlTerms:
    """Those of one connection."""

    def __init__(self, connection: ProjectConnection, shared: Shared) -> None:
        """Ask what has to be asked by `connection`."""
        self._connection = connection
        self._shared = shared
        self._moment: float | None = None
        self._numbers: dict[str, list[int]] = {}
        self._expected = 0
        """How many numbers of messages each transaction takes at its beginning."""
        self._used: int | None = None
        """How many the present one has used."""
        self.holder: Holder | None = shared.holder

    def forget(self) -> None:
        """What was learnt in a transaction does not hold after it."""
        self._moment = None
        self._numbers.clear()
        if self._used is not None:
            # As many as of late, so that they need no way of their own; fewer and fewer of none.
            wanted = 1 << (self._used - 1).bit_length() if self._used else 0
            slowly = self._expected * 7 // 8
            self._expected = min(_NUMBERS_AT_ONCE["message"], max(wanted, slowly))
            self._used = None
        if self._connection.along is not None:
            self._connection.along = _START, self._asked()

    def start(self) -> int:
        """Learn in a transaction that changes what time it is; return the project's revision.

        Raises DataLockedError if another process has taken this node's place.
        """
        asked = self._asked()
        told = self._connection.begun or self._connection.execute(_START, asked).fetchone() or ()
        # From now on asked along with the beginning: there are tables now.
        self._connection.along, self._connection.begun = (_START, asked), None
        moment, revision, life, last = cast("tuple[float, int, str | None, int | None]", told)
        self._moment = self._shared.clock.learn(moment)
        self._used = 0
        self._numbers.clear()
        if last is not None:
            self._numbers["message"] = list(range(last - self._expected + 1, last + 1))
        if life != self._shared.holder.incarnation:
            raise DataLockedError(
                f"Another process keeps data as the node {self._shared.holder.node}.",
                next_step="Give each node a name of its own, or stop this one.",
            )
        return int(revision)

    def _asked(self) -> tuple[object, ...]:
        return self._shared.holder.node, self._expected, self._expected

    def now(self) -> float:
        """Return the moment of the transaction, or the present one for a question."""
        if self._moment is not None:
            return self._moment
        found = self._shared.clock.now()
        if found is None:
            (told,) = self._connection.execute(_CLOCK).fetchone() or (0.0,)
            found = self._shared.clock.learn(told)
        return found

    def numbers(self, kind: str, count: int) -> Sequence[int | None]:
        """Take numbers that are higher than all before, whichever node took those."""
        free = self._numbers.setdefault(kind, [])
        if kind == "message" and self._used is not None:
            self._used += count
        if len(free) < count:
            # All at once, and the rest of a block is left: numbers are in the order of commits.
            (last,) = self._connection.execute(_NUMBERS[kind], (count - 1,)).fetchone() or (0,)
            free[:] = range(int(last) - count + 1, int(last) + 1)
        taken = free[:count]
        del free[:count]
        return taken

    def insert(
        self,
        connection: Connection,
        into: str,
        rows: Sequence[tuple[object, ...]],
        then: str = "",
    ) -> list[int]:
        """Insert them by a statement for very many.

        What all have alike is said once: of what is sent together that is most of it.
        """
        kinds = _kinds(into)
        for at in range(0, len(rows), _ROWS_AT_ONCE):
            number, *others = zip(*rows[at : at + _ROWS_AT_ONCE], strict=True)
            given = [kinds[0](number), *(k.of(v) for k, v in zip(kinds[1:], others, strict=True))]
            constant = tuple(not _is_array(one) for one in given)
            self._connection.later(
                f"{_selected(into, constant)} {then}", sorted(given, key=_is_array)
            )
        return [cast(int, row[0]) for row in rows]

    def later(
        self, connection: Connection, statement: str, values: Sequence[object]
    ) -> Callable[[], Sequence[Any]]:
        """Do it along with the next one."""
        return self._connection.later(statement, tuple(values)).fetchall

    def items(
        self, connection: Connection, table: int, places: Sequence[tuple[Stored, Stored]]
    ) -> Iterable[Sequence[Any]]:
        """Ask for all of them at once."""
        keys, sorts = columns(places, (Contents, Contents))
        statement = self.within(_ITEMS, "value", "key, sort")
        for row in connection.execute(statement, (keys, sorts, table)):
            yield row[:8]

    def seal(self, bound: Bound, content: bytes) -> bytes:
        """Encrypt it."""
        if not content and bound[0] in _OPTIONAL:
            return b""
        return self._shared.sealer.seal(bound, content)

    def open(self, bound: Bound, kept: bytes) -> bytes:
        """Decrypt it."""
        if not kept and bound[0] in _OPTIONAL:
            return b""
        return self._shared.sealer.open(bound, kept)

    def seal_text(self, bound: Bound, text: str) -> str | bytes:
        """Encrypt it."""
        return self.seal(bound, text.encode())

    def open_text(self, bound: Bound, kept: str | bytes) -> str:
        """Decrypt it."""
        return self.open(bound, cast(bytes, kept)).decode()

    def length(self, kept: int) -> int:
        """Leave out what sealing adds."""
        return max(0, kept - OVERHEAD)

    def sealed(self, length: int) -> int:
        """Add what sealing adds."""
        return length + OVERHEAD

    def key(self, value: Scalar) -> Stored:
        """Return it as bytes in order."""
        return ordered(value)

    def scalar(self, kept: Stored) -> Scalar:
        """Return a value that is equal."""
        return value_of(cast(bytes, kept))

    def token(self, kind: str, text: str) -> str:
        """Return a HMAC-SHA-256 under a secret of the project, cut."""
        return made_token(self._shared.tokens, kind, text)

    def beside(self, key: str) -> str:
        """Return it: its token does not tell it."""
        return key

    def within(self, statement: str, content: str, order: str) -> str:
        """Have the server add up lengths: all that it answers is in memory here at once."""
        return within(statement, content, order)

    def abandoned(self) -> tuple[str, tuple[object, ...]]:
        """Return that they are of this node's former lives, or of nodes that are gone."""
        return ABANDONED, (*self._shared.holder, GONE_SECONDS)

    def lives(self, connection: Connection, claimant: str) -> bool:
        """Tell whether the node was seen of late, in the same life."""
        node, _, life = claimant.partition("/")
        row = connection.execute(
            "SELECT 1 FROM holder WHERE node = ? AND life = ? AND seen_at > ?",
            (node, life, self.now() - CLAIM_SECONDS),
        ).fetchone()
        return row is not None


def within(statement: str, content: str, order: str) -> str:
    """Return a statement whose answer is of MAX_RESULT_BYTES, or one row, and the row beyond."""
    return (
        "SELECT * FROM (SELECT found.*, "  # noqa: S608 - names in the code
        f"sum(length({content})) OVER (ORDER BY {order} ROWS UNBOUNDED PRECEDING) "
        f"- length({content}) AS before FROM ({statement}) AS found) AS bounded "
        f"WHERE before <= {MAX_RESULT_BYTES:d} ORDER BY {order}"
    )
