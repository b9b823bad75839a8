"""The log of a node: what others wrote begins no line of it, and no terminal obeys it."""

from __future__ import annotations

import io
import logging
import re

import pytest

from casemate.child.log import _Lines, line

FORGED = "x\n2026-12-02T19:59:59Z gateway: owner token made\r\x1b[2J\u202e\u3164"
OURS = re.compile(r"[0-9T:Z-]{20} gateway: ")


@pytest.fixture
def logger() -> tuple[logging.Logger, io.StringIO]:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(_Lines("gateway"))
    made = logging.Logger("casemate.x")
    made.addHandler(handler)
    return made, written


def test_a_message_is_one_line() -> None:
    assert line("gateway", FORGED, 0.0) == (
        "1970-01-01T00:00:00Z gateway: x\\x0a2026-12-02T19:59:59Z gateway: owner token made"
        "\\x0d\\x1b[2J\\u202e\\u3164"
    )


def test_no_line_of_a_trace_looks_like_one_of_the_log(logger) -> None:
    log, written = logger
    try:
        raise ValueError(FORGED)
    except ValueError:
        log.exception("%s failed", FORGED)
    first, *trace = written.getvalue().removesuffix("\n").split("\n")
    assert OURS.match(first) and "error: x\\x0a2026" in first
    assert len(trace) > 2 and all(each.startswith(" ") for each in trace)
    assert not set("\r\x1b\u202e\u3164") & set(written.getvalue())
