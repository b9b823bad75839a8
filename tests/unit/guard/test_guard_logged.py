"""Exceptions that are handed to handlers of logs, whatever a record has for its arguments."""

from __future__ import annotations

import logging
import types
from collections.abc import Iterator, Mapping

import pytest

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
