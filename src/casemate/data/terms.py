"""On which terms an engine keeps a project's data: its clock, its numbers, what it may read.

The functions of this package are the same for all engines; where one has to do otherwise they ask
here. A database of our own on this machine is encrypted as a whole, written by one node, and keeps
keys as they are. One that others run (`casemate.data.postgresql`) sees only what it needs for
finding and ordering, and its clock decides for all nodes.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple, Protocol, cast

from casemate.data.attributes import Scalar
from casemate.sqlite.engine import Connection
from casemate.sqlite.rows import insert_rows

Bound = tuple[object, ...]
"""What kept content belongs to: its kind, and where it is. It is not authentic elsewhere."""
Stored = Scalar | bytes
"""A key of an item as an engine keeps it, in an order that all engines agree on."""

_TOKEN_BYTES: Final = 20


class Holder(NamedTuple):
    """Who holds leases: a node, and which of its lives."""

    node: str
    incarnation: str


class Terms(Protocol):
    """What an engine does in its own way. Belongs to one connection."""

    holder: Holder | None
    """Who leases by this connection, where it is not the only one."""

    def now(self) -> float:
        """Return what time it is for the change or question at hand."""
        ...

    def numbers(self, kind: str, count: int) -> Sequence[int | None]:
        """Return the numbers of rows that are to be inserted; None where the engine gives them."""
        ...

    def insert(
        self,
        connection: Connection,
        into: str,
        rows: Sequence[tuple[object, ...]],
        then: str = "",
    ) -> list[int]:
        """Insert rows whose first value is of `numbers`; return their numbers.

        `then` says what is done where one is there already; the answer has no meaning then.
        """
        ...

    def later(
        self, connection: Connection, statement: str, values: Sequence[object]
    ) -> Callable[[], Sequence[Any]]:
        """Do a statement before the next one; return what its rows are to be asked by.

        What is wrong with it may be raised by the next one, or by the end of the part.
        """
        ...

    def items(
        self, connection: Connection, table: int, places: Sequence[tuple[Stored, Stored]]
    ) -> Iterable[Sequence[Any]]:
        """Return the table's floor, key, sort, id, revision, time of expiry, value and labels.

        At least one row; its id is None where nothing is. Of more than MAX_RESULT_BYTES of values
        not all are returned, but more than those bytes.
        """
        ...

    def seal(self, bound: Bound, content: bytes) -> bytes:
        """Return content as it may be kept. Nothing stays nothing."""
        ...

    def open(self, bound: Bound, kept: bytes) -> bytes:
        """Return what `seal` was given. DataCorruptError if it is not exactly that."""
        ...

    def seal_text(self, bound: Bound, text: str) -> str | bytes:
        """Return a text as it may be kept."""
        ...

    def open_text(self, bound: Bound, kept: str | bytes) -> str:
        """Return what `seal_text` was given."""
        ...

    def length(self, kept: int) -> int:
        """Return how long content is that is kept in so many bytes."""
        ...

    def sealed(self, length: int) -> int:
        """Return in how many bytes content of a length is kept, if it is not nothing."""
        ...

    def key(self, value: Scalar) -> Stored:
        """Return a key as it is kept: equal and in order as the values are."""
        ...

    def scalar(self, kept: Stored) -> Scalar:
        """Return the value that `key` was given, or one that is equal to it."""
        ...

    def token(self, kind: str, text: str) -> str:
        """Return what is kept of a text that is only compared. Nothing stays nothing."""
        ...

    def beside(self, key: str) -> str:
        """Return what has to be kept beside `token` for the text to be known again."""
        ...

    def within(self, statement: str, content: str, order: str) -> str:
        """Return a statement for no more rows than whose content is MAX_RESULT_BYTES, or one.

        Up to the row that is beyond. `content` and `order` name columns of what it returns.
        """
        ...

    def abandoned(self) -> tuple[str, tuple[object, ...]]:
        """Return which leases nobody has any more, as the end of a condition, and its values."""
        ...

    def lives(self, connection: Connection, claimant: str) -> bool:
        """Tell whether another process that has claimed something may still be at it."""
        ...


_FLOOR = "SELECT floor FROM resource WHERE id = ?"
_NOTHING = (None, 0, None, b"", b"")
_ITEM = (
    "SELECT id, revision, expires_at, value, labels FROM item "
    "WHERE tab = ? AND key = ? AND sort = ?"
)


class OwnTerms:
    """Those of an encrypted file that nobody else has open: everything as it is."""

    holder: Holder | None = None

    def now(self) -> float:
        """Return the time of this machine."""
        return time.time()

    def numbers(self, kind: str, count: int) -> Sequence[int | None]:
        """Let the engine number them."""
        return (None,) * count

    def insert(
        self,
        connection: Connection,
        into: str,
        rows: Sequence[tuple[object, ...]],
        then: str = "",
    ) -> list[int]:
        """Return what the engine numbered them."""
        return insert_rows(connection, into, rows, then)

    def later(
        self, connection: Connection, statement: str, values: Sequence[object]
    ) -> Callable[[], Sequence[Any]]:
        """Do it."""
        rows = connection.execute(statement, values).fetchall()
        return lambda: rows

    def items(
        self, connection: Connection, table: int, places: Sequence[tuple[Stored, Stored]]
    ) -> Iterable[Sequence[Any]]:
        """Ask for one after the other: each is a look into an index of our own."""
        floor = connection.execute(_FLOOR, (table,)).fetchone()[0]
        for place in places:
            row = connection.execute(_ITEM, (table, *place)).fetchone()
            yield (floor, *place, *(row or _NOTHING))

    def seal(self, bound: Bound, content: bytes) -> bytes:
        """Return it."""
        return content

    def open(self, bound: Bound, kept: bytes) -> bytes:
        """Return it."""
        return kept

    def seal_text(self, bound: Bound, text: str) -> str | bytes:
        """Return it."""
        return text

    def open_text(self, bound: Bound, kept: str | bytes) -> str:
        """Return it."""
        return cast(str, kept)

    def length(self, kept: int) -> int:
        """Return it."""
        return kept

    def sealed(self, length: int) -> int:
        """Return it."""
        return length

    def key(self, value: Scalar) -> Stored:
        """Return it: SQLite orders numbers before texts, and integers among doubles, exactly."""
        return value

    def scalar(self, kept: Stored) -> Scalar:
        """Return it."""
        return cast(Scalar, kept)

    def token(self, kind: str, text: str) -> str:
        """Return it."""
        return text

    def beside(self, key: str) -> str:
        """Return nothing: the text itself is kept."""
        return ""

    def within(self, statement: str, content: str, order: str) -> str:
        """Return it: rows come one by one, and who has enough asks for no more."""
        return statement

    def abandoned(self) -> tuple[str, tuple[object, ...]]:
        """Return no condition: whoever had any is not there any more."""
        return "", ()

    def lives(self, connection: Connection, claimant: str) -> bool:
        """Return False: there is no other."""
        return False


class TokenTerms(OwnTerms):
    """Those of a file that was moved here from a server which kept tokens in place of texts."""

    def __init__(self, secret: bytes) -> None:
        """Make tokens with the secret that they were made with there."""
        self._secret = secret

    def token(self, kind: str, text: str) -> str:
        """Return a token; the key of a message as it is, which came along."""
        return text if kind == "key" else made_token(self._secret, kind, text)


_OWN = OwnTerms()


def made_token(secret: bytes, kind: str, text: str) -> str:
    """Return what is kept in place of a text: a HMAC-SHA-256 under a secret of the project, cut."""
    if not text:
        return ""
    return hmac.digest(secret, f"{kind}\0{text}".encode(), sha256)[:_TOKEN_BYTES].hex()


def terms_of(connection: Connection) -> Terms:
    """Return the terms on which a connection keeps what it is given."""
    found: Terms | None = getattr(connection, "terms", None)
    return _OWN if found is None else found


def now(connection: Connection) -> float:
    """Return what time it is for what is done by a connection."""
    return terms_of(connection).now()
