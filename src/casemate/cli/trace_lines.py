"""Traces of Python on a terminal: marks stay below what they mark, and nothing is lost."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from typing import TextIO

from casemate.cli.terminal import folded
from casemate.cli.text import many_lines

_INDENT = 4
"""Spaces before what goes on of a line, beyond those that it begins with."""
_MARKS = frozenset("^~ ")


def shown_trace(trace: str, stream: TextIO) -> str:
    """Return a trace safe to show; on a terminal no line is wider than it, but for single words."""
    safe = many_lines(trace)
    if not stream.isatty():
        return safe
    return "\n".join(_fitting(safe.split("\n"), shutil.get_terminal_size().columns))


def _fitting(lines: Sequence[str], width: int) -> Iterator[str]:
    marked = False
    for number, line in enumerate(lines):
        if marked:  # went with the line above
            marked = False
            continue
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if len(line) > width and following.strip() and _MARKS.issuperset(following):
            marked = True
            yield from _with_marks(line, following, width)
        else:
            yield from folded(line, width)


def _with_marks(line: str, marks: str, width: int) -> Iterator[str]:
    """Break code and the marks below it at the same places, which are spaces of the code."""
    first = len(line) - len(line.lstrip(" "))
    indent = min(first, width // 2) + _INDENT
    begin, before = 0, ""
    while begin < len(line):
        end = _end(line, begin, max(begin, first), width - len(before))
        part = line[begin:end].rstrip(" ")
        yield before + part
        if below := marks[begin : begin + len(part)].rstrip(" "):
            yield before + below
        begin, before = end, " " * indent


def _end(line: str, begin: int, text: int, room: int) -> int:
    """Return where a part that begins at `begin`, with text from `text` on, ends: before a word."""
    if len(line) - begin <= room:
        return len(line)
    last = line.rfind(" ", text, begin + room + 1)
    if last < 0:  # a word that is longer stays whole
        last = line.find(" ", begin + room)
    return len(line) if last < 0 else last + 1
