"""Tables that the code puts together by hand: data that is more than one cell of its row."""

from __future__ import annotations

import _csv
import contextlib
from collections.abc import Sequence
from typing import Any

from ..origin import Span
from ..spans import around, neutral
from ..verdict import Verdict
from .lines import doubtful

MAX_TABLE = 64 * 1024
"""Characters of a table that is judged."""
_DATA = "\0"
FIX = "write rows by csv.writer, which puts quotes around what needs them"


def judge_rows(text: str, spans: Sequence[Span], separators: str) -> Verdict | None:
    """As `judge_table`, with the separator that the code has written most."""
    own = "".join(around(text, spans))
    separator = max(separators, key=own.count)
    return judge_table(text, spans, delimiter=separator) if separator in own else None


def judge_table(text: str, spans: Sequence[Span], *how: Any, **named: Any) -> Verdict | None:
    """Return a verdict if data changes how many rows a table has, or how many columns these.

    Lines that are the event's as a whole are: the code puts a head before them, say. `how` and
    `named` are what `csv.reader` is given.
    """
    if len(text) > MAX_TABLE:
        return None
    marked = neutral(text, spans, _DATA)
    inside = [s for s in doubtful(spans) if not s.is_piece and _is_in_line(marked, s.start, s.end)]
    if not inside:
        return None
    harmless = neutral(text, inside)
    with contextlib.suppress(_csv.Error, TypeError, ValueError):
        if _shape(text, *how, **named) != _shape(harmless, *how, **named):
            return Verdict(inside[0].origin, "adds a row or a cell to a table", FIX)
    return None


def _is_in_line(marked: str, start: int, end: int) -> bool:
    """Tell whether there is something of the code's in the line that data stands in."""
    begin, until = marked.rfind("\n", 0, start) + 1, marked.find("\n", end)
    return marked[begin : until if until >= 0 else None].strip(f"{_DATA} \t\r") != ""


def _shape(text: str, *how: Any, **named: Any) -> list[int]:
    return [len(row) for row in _csv.reader(text.splitlines(keepends=True), *how, **named)]
