"""Many values as one: what a statement is given that does the same for many rows.

In the binary form of PostgreSQL's arrays (src/backend/utils/adt/arrayfuncs.c, `array_recv`): made
here, since going through the client library costs more than sending them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final

_HEAD: Final = struct.Struct(">iiIii")
_BOUNDS: Final = 12
_LENGTH: Final = struct.Struct(">i")
_NULL: Final = _LENGTH.pack(-1)


class Array:
    """Values of one column, each of which may be None."""

    __slots__ = ("encoded",)
    oid: ClassVar[int]
    element: ClassVar[int]

    def __init__(self, values: Sequence[Any]) -> None:
        """Encode them. Raises OverflowError, UnicodeEncodeError, as a single value does."""
        head = _HEAD.pack(int(bool(values)), 1, self.element, len(values), 1)
        if not values:
            # Of none the head ends before the bounds of its one dimension.
            self.encoded = head[:_BOUNDS]
            return
        first, content = values[0], self._content
        if len(values) > 1 and all(value is first for value in values):
            # Of many columns of what is sent together all rows have the same.
            self.encoded = head + content(first) * len(values)
        else:
            self.encoded = head + b"".join(map(content, values))

    def _content(self, value: Any) -> bytes:
        if value is None:
            return _NULL
        content = self.content(value)
        return _LENGTH.pack(len(content)) + content

    @staticmethod
    def content(value: Any) -> bytes:
        """Return one value's bytes."""
        raise NotImplementedError


class Numbers(Array):
    """Whole numbers of 64 bits."""

    __slots__ = ()
    oid = 1016
    element = 20

    @staticmethod
    def content(value: Any) -> bytes:
        """Return eight bytes."""
        try:
            return struct.pack(">q", value)
        except struct.error as error:
            raise OverflowError("a whole number has more than 64 bits") from error


class Doubles(Array):
    """Numbers of double precision."""

    __slots__ = ()
    oid = 1022
    element = 701

    @staticmethod
    def content(value: Any) -> bytes:
        """Return eight bytes."""
        return struct.pack(">d", value)


class Texts(Array):
    """Texts."""

    __slots__ = ()
    oid = 1009
    element = 25

    @staticmethod
    def content(value: Any) -> bytes:
        """Return it in UTF-8."""
        return str(value).encode()


class Contents(Array):
    """Bytes."""

    __slots__ = ()
    oid = 1001
    element = 17

    @staticmethod
    def content(value: Any) -> bytes:
        """Return them."""
        return bytes(value)


KINDS: Final[dict[str, type[Array]]] = {
    "INTEGER": Numbers,
    "bigint": Numbers,
    "REAL": Doubles,
    "TEXT": Texts,
    "BLOB": Contents,
}
"""By the type of a column as a schema writes it."""


def columns(rows: Iterable[Sequence[object]], kinds: Sequence[type[Array]]) -> list[Array]:
    """Return rows as one array for each column."""
    return [kind(values) for kind, values in zip(kinds, zip(*rows, strict=True), strict=True)]
