"""How pamqp, which aiormq reads frames with, decodes what whoever publishes a message chooses.

pamqp copies the rest of a frame for each value of a table, so that two megabytes of them take
minutes, and raises for a time or a text that is none, which ends the connection: the message then
comes again, and ends the next one. Here a table that is large or broken is passed over, as nothing
reads it, and what is no time or text is none, too.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pamqp import decode

_LENGTH = 4
_TIME = 8
MAX_TABLE = 4096
"""Bytes of a table that is decoded. The greeting of a server has less."""
_table, _timestamp = decode.field_table, decode.timestamp


def table(value: bytes) -> tuple[int, dict[str, Any]]:
    """Return how many bytes a table has, and what is in it if it is small and whole."""
    size = _LENGTH + int.from_bytes(value[:_LENGTH], "big")
    if len(value) < size:
        raise ValueError("a table is longer than its frame")
    if size <= MAX_TABLE:
        try:
            return size, dict(_table(value[:size])[1])
        except (ValueError, ArithmeticError, OSError, IndexError, RecursionError):
            pass
    return size, {}


def timestamp(value: bytes) -> tuple[int, datetime | None]:
    """Return a time; None for one that no calendar has."""
    if len(value) < _TIME:
        raise ValueError("a time is longer than its frame")
    try:
        return _timestamp(value)
    except (ValueError, ArithmeticError, OSError):
        return _TIME, None


def short_text(value: bytes) -> tuple[int, str]:
    """Return a text of up to 255 bytes, whatever they are."""
    if not value:
        raise ValueError("a text is longer than its frame")
    return value[0] + 1, value[1 : value[0] + 1].decode("utf-8", "replace")


def install() -> None:
    """Have every frame of this process decoded so: pamqp has no other place to say so."""
    decode.METHODS.update(table=table, timestamp=timestamp, shortstr=short_text)  # type: ignore[arg-type, dict-item, unused-ignore]
