"""The log of a node: lines on standard error, of one form whichever of its processes wrote them.

`2026-11-29T20:06:23Z gateway: warning: owner token 8adc (bootstrap) made by the node itself`: when,
by UTC, who, how grave it is from a warning on, and what. Of a text that others wrote nothing begins
a line, or is obeyed by a terminal: the lines of a trace begin with a space.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, Final

from casemate.shown_text import on_its_lines, on_one_line

_OURS: Final = "casemate"


def line(process: str, message: str, at: float) -> str:
    """Return a line of the log, of a message at a Unix time."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
    return f"{stamp} {process}: {on_one_line(message)}"


def report(process: str, message: str) -> None:
    """Write a line of the log."""
    print(line(process, message, time.time()), file=sys.stderr, flush=True)


def log_as(process: str) -> None:
    """Have what this process logs written to the node's log, from `INFO` on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines(process))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class _Lines(logging.Formatter):
    """Records as lines of the log. Loggers of libraries are named, our own are the process."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        message = record.message
        if record.name.partition(".")[0] != _OURS:
            message = f"{record.name}: {message}"
        if record.levelno >= logging.WARNING:
            message = f"{record.levelname.lower()}: {message}"
        return line(self._process, message, record.created)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        return on_its_lines(f" {super().formatException(ei)}").replace("\n", "\n ")
