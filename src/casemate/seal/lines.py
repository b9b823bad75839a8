"""The lines of a log, made of what a function wrote.

What functions say of themselves is believed within its bounds.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import NamedTuple

from casemate.model.invocation import ErrorRecord, LogLine

MAX_LINES = 10_000
"""Lines of one invocation that are recorded."""
_CODE = "/function/code/"
_FRAME = re.compile(r'File "([^"\n]{1,300})", line ([0-9]{1,9}), in ([^\n]{1,200})')
_MAX_TRACE = 8192
"""Characters at the end of a trace that are looked through for a place."""

Entries = Sequence[tuple[float, str, bytes]]


class Writer(NamedTuple):
    """The invocation whose lines they are."""

    invocation: str
    project: str
    function: str
    version: int
    started_at: float

    def line(self, at: float, level: str, text: str, now: float) -> LogLine:
        """Return one line."""
        # A function says when it logged; it is believed within its own invocation.
        believed = self.started_at <= at <= now
        return LogLine(
            invocation=self.invocation,
            project=self.project,
            function=self.function,
            version=self.version,
            at=at if believed else self.started_at,
            level=level,
            text=text,
        )

    def lines(self, entries: Entries, before: int) -> tuple[list[LogLine], int]:
        """Return lines within MAX_LINES, of which there were `before`, and how many there are."""
        now = time.time()
        made = [
            (at, level, line)
            for at, level, text in merge_output(entries)
            for line in text.decode(errors="replace").splitlines()
        ]
        kept = made[: max(MAX_LINES - before, 0)]
        return [self.line(*one, now) for one in kept], len(made)


def told(error: ErrorRecord) -> str:
    """Return the line that a log has of an error: what, where and how to see the rest.

    The message is left out: it holds what callers sent more often than not, and is for those who
    may read errors.
    """
    frames = _FRAME.findall(error.trace[-_MAX_TRACE:])
    own = [frame for frame in frames if frame[0].startswith(_CODE)]
    where = ""
    if own:
        file, line, name = own[-1]
        where = f" at {file.removeprefix(_CODE)}:{line} in {name}"
    told = f"{error.outcome.value}: {error.type[:200].removeprefix('builtins.')}{where}"
    # Type and place were written in the instance: whatever they are, they are one line.
    return f"{' '.join(told.split())}; see `casemate errors show {error.id}`"


def merge_output(entries: Entries) -> list[tuple[float, str, bytes]]:
    """Join what was read in pieces, so that a line cut by a read is one line again.

    Also over entries of the log in between, which come another way: a secret is found whole only.
    """
    merged: list[tuple[float, str, bytes]] = []
    unfinished: int | None = None
    for at, level, data in entries:
        if level == "stdout" and unfinished is not None:
            first, _, before = merged[unfinished]
            merged[unfinished] = (first, level, before + data)
        else:
            merged.append((at, level, data))
            if level != "stdout":
                continue
            unfinished = len(merged) - 1
        if data.endswith(b"\n"):
            unfinished = None
    return merged
