"""The handler's context: AWS Lambda's names, our fields, and its log."""

from __future__ import annotations

import socket
import time

import pytest

from casemate.runner.channel import Channel
from casemate.runner.context import Context, Log

NOBODY = socket.socket()


def context_of(deadline: float = 0.0, log: Log | None = None) -> Context:
    return Context(
        request_id="inv_1",
        deadline=deadline,
        project="p",
        function_name="f",
        function_version="7",
        memory_limit=256 * 1024 * 1024,
        log=log or Log(lambda level, text: None),
        channel=Channel(NOBODY),
    )


def test_lambda_s_names_are_there() -> None:
    context = context_of()
    assert context.aws_request_id == context.request_id == "inv_1"
    assert context.memory_limit_in_mb == 256
    assert (context.function_name, context.function_version) == ("f", "7")


def test_what_is_left_of_the_time() -> None:
    context = context_of(deadline=time.time() + 5)
    assert 4.5 < context.remaining() <= 5
    assert 4500 < context.get_remaining_time_in_millis() <= 5000
    past = context_of(deadline=time.time() - 5)
    assert past.remaining() == 0.0 and past.get_remaining_time_in_millis() == 0


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_each_level_writes_a_line(level: str) -> None:
    lines: list[tuple[str, str]] = []
    log = Log(lambda *line: lines.append(line))  # type: ignore[arg-type]
    getattr(log, level)("a message")
    getattr(log, level)(12)
    assert lines == [(level, "a message"), (level, "12")]


def test_fields_are_appended_as_json() -> None:
    lines: list[tuple[str, str]] = []
    log = Log(lambda *line: lines.append(line))  # type: ignore[arg-type]
    log.info("sold", item="caf\u00e9", n=2, what={1, 2}, at=object)
    [(_, text)] = lines
    assert text.startswith('sold {"item": "caf\u00e9", "n": 2, "what": "{1, 2}"')


def test_a_context_takes_nothing_else() -> None:
    with pytest.raises(AttributeError):
        context_of().secret = 1  # type: ignore[attr-defined]
