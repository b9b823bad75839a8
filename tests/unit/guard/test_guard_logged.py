"""Exceptions that are handed to handlers of logs, whatever a record has for its arguments."""

from __future__ import annotations

import logging
import types
from collections.abc import Iterator, Mapping

import pytest

from casemate.guard import in_memory
from casemate.guard.core import Guard
from casemate.guard.handed_over import _log_handlers

ERROR = KeyError("id")


class Fields(Mapping[str, object]):
    """As some loggers have them: no dictionary."""

    def __getitem__(self, name: str) -> object:
        return {"error": ERROR}[name]

    def __iter__(self) -> Iterator[str]:
        return iter(["error"])

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("args", "noted"),
    [
        ((ERROR,), True),
        ([1, ERROR], True),
        ({"error": ERROR}, True),
        (Fields(), True),
        (ERROR, True),
        (5, False),
        (None, False),
    ],
)
def test_what_a_record_is_of_is_noted(args: object, *, noted: bool) -> None:
    module = types.SimpleNamespace(Handler=type("Handler", (), {"handle": lambda *_: True}))
    guard = Guard("/function/code")
    _log_handlers(guard, module)  # type: ignore[arg-type]
    guard.begin({})
    record = logging.makeLogRecord({"msg": "%s", "args": args})
    assert module.Handler().handle(record)
    assert bool(guard.raised) is noted


@pytest.mark.parametrize(
    ("held", "binary"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", True),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\xff", True),
        (b"PK\x03\x04\x14\x00\x00\x00\xe9\x00", True),
        ("INFO \x00 caf\xe9\n".encode(), False),
        ("INFO caf\xe9\nINFO x\n".encode("latin-1"), False),
        ("\x00INFO\n", False),
        (b"", False),
    ],
)
def test_what_is_no_text_is_not_searched_for_records(held: str | bytes, binary: bool) -> None:
    """A picture in memory took 14 ms to be searched for an event, as soon as it was read again."""
    assert in_memory.is_binary(held) is binary
