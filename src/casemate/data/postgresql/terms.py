"""The terms of PostgreSQL: sealed values, keys as bytes, the server's clock, numbers of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, cast

from casemate.data.attributes import Scalar
from casemate.data.errors import DataLockedError
from casemate.data.limits import MAX_RESULT_BYTES
from casemate.data.postgresql.clock import ServerClock
from casemate.data.postgresql.ordering import ordered, value_of
from casemate.data.postgresql.sealing import OVERHEAD, Sealer
from casemate.data.terms import Bound, Holder, Stored, made_token
from casemate.sqlite.engine import Connection

CLAIM_SECONDS: Final = 60.0
"""A node that was not seen for as long has given up what it had claimed."""
_ROWS_AT_ONCE: Final = 64
_NUMBERS_AT_ONCE: Final = {"message": 64}
"""How many are taken where many follow. Of others none is left out: their gaps are counted."""
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
    "(SELECT number FROM revision), (SELECT life FROM holder WHERE node = ?)"
)
_CLOCK: Final = "SELECT CAST(extract(epoch FROM clock_timestamp()) AS REAL)"
_NUMBERS: Final = {
    kind: f"SELECT setval('{kind}_number', nextval('{kind}_number') + ?)"
    for kind in ("message", "letter", "status")
}


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

    def __init__(self, connection: Connection, shared: Shared) -> None:
        """Ask what has to be asked by `connection`."""
        self._connection = connection
        self._shared = shared
        self._moment: float | None = None
        self._numbers: dict[str, list[int]] = {}
        self.holder: Holder | None = shared.holder

    def forget(self) -> None:
        """What was learnt in a transaction does not hold after it."""
        self._moment = None
        self._numbers.clear()

    def start(self) -> int:
        """Learn in a transaction that changes what time it is; return the project's revision.

        Raises DataLockedError if another process has taken this node's place.
        """
        self.forget()
        told, revision, life = self._connection.execute(
            _START, (self._shared.holder.node,)
        ).fetchone()
        self._moment = self._shared.clock.learn(told)
        if life != self._shared.holder.incarnation:
            raise DataLockedError(
                f"Another process keeps data as the node {self._shared.holder.node}.",
                next_step="Give each node a name of its own, or stop this one.",
            )
        return int(revision)

    def now(self) -> float:
        """Return the moment of the transaction, or the present one for a question."""
        if self._moment is not None:
            return self._moment
        found = self._shared.clock.now()
        if found is None:
            (told,) = self._connection.execute(_CLOCK).fetchone()
            found = self._shared.clock.learn(told)
        return found

    def numbers(self, kind: str, count: int) -> Sequence[int | None]:
        """Take numbers that are higher than all before, whichever node took those."""
        free = self._numbers.setdefault(kind, [])
        if len(free) < count:
            # All at once, and the rest of a block is left: numbers are in the order of commits.
            size = max(count, _NUMBERS_AT_ONCE.get(kind, 1))
            (last,) = self._connection.execute(_NUMBERS[kind], (size - 1,)).fetchone()
            free[:] = range(last - size + 1, last + 1)
        taken = free[:count]
        del free[:count]
        return taken

    def insert(
        self, connection: Connection, into: str, rows: Sequence[tuple[object, ...]]
    ) -> list[int]:
        """Insert them in few statements."""
        at = 0
        while at < len(rows):
            # Few different sizes, so that the statements for them are prepared once.
            size = min(_ROWS_AT_ONCE, 1 << ((len(rows) - at).bit_length() - 1))
            part = rows[at : at + size]
            values = f"({', '.join('?' * len(part[0]))})"
            connection.execute(
                f"{into} VALUES {', '.join([values] * size)}", tuple(chain.from_iterable(part))
            )
            at += size
        return [cast(int, row[0]) for row in rows]

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
