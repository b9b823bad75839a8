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


class Constant:
    """One value, which all rows have in a column."""

    __slots__ = ("encoded",)
    oid: ClassVar[int]

    def __init__(self, encoded: bytes) -> None:
        """Take a value that is encoded."""
        self.encoded = encoded


class Number(Constant):
    """A whole number of 64 bits."""

    __slots__ = ()
    oid = 20


class Double(Constant):
    """A number of double precision."""

    __slots__ = ()
    oid = 701


class Text(Constant):
    """A text."""

    __slots__ = ()
    oid = 25


class Content(Constant):
    """Bytes."""

    __slots__ = ()
    oid = 17


class Array:
    """Values of one column, each of which may be None."""

    __slots__ = ("encoded",)
    oid: ClassVar[int]
    constant: ClassVar[type[Constant]]
    """What one of its values is by itself."""

    def __init__(self, values: Sequence[Any]) -> None:
        """Encode them. Raises OverflowError, UnicodeEncodeError, as a single value does."""
        head = _HEAD.pack(int(bool(values)), 1, self.constant.oid, len(values), 1)
        # Of none the head ends before the bounds of its one dimension.
        self.encoded = head + b"".join(map(self._content, values)) if values else head[:_BOUNDS]

    def _content(self, value: Any) -> bytes:
        if value is None:
            return _NULL
        content = self.content(value)
        return _LENGTH.pack(len(content)) + content

    @classmethod
    def of(cls, values: Sequence[Any]) -> Array | Constant | None:
        """Return the values of a column, or the one that they all are. Raises as an array does."""
        first = values[0]
        if not cls.alike(values):
            return cls(values)
        return None if first is None else cls.constant(cls.content(first))

    @staticmethod
    def alike(values: Sequence[Any]) -> bool:
        """Tell whether all values are kept as the same."""
        return values.count(values[0]) == len(values)

    @staticmethod
    def content(value: Any) -> bytes:
        """Return one value's bytes."""
        raise NotImplementedError


class Numbers(Array):
    """Whole numbers of 64 bits."""

    __slots__ = ()
    oid = 1016
    constant = Number

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
    constant = Double

    @staticmethod
    def alike(values: Sequence[Any]) -> bool:
        """Tell whether all are one: of those that are equal, zero has two signs."""
        first = values[0]
        return all(value is first for value in values)

    @staticmethod
    def content(value: Any) -> bytes:
        """Return eight bytes."""
        return struct.pack(">d", value)


class Texts(Array):
    """Texts."""

    __slots__ = ()
    oid = 1009
    constant = Text

    @staticmethod
    def content(value: Any) -> bytes:
        """Return it in UTF-8."""
        return str(value).encode()


class Contents(Array):
    """Bytes."""

    __slots__ = ()
    oid = 1001
    constant = Content

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
