"""Cells of a table within quotes, in which a line end begins no line for who knows tables."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import FrameType

from ..core import Guard
from ..origin import Span
from ..spans import neutral

_SEPARATORS = ",;\t|"
_READERS = frozenset(("DictReader", "read_csv", "reader"))
"""Names by which code reads tables by a library."""
_MAX_FRAMES = 50
_KEPT = ("written", "tables")
_MAX_KEPT = 8


def reads_tables(guard: Guard) -> bool:
    """Tell whether the function of the code's that led here reads tables by a library."""
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_MAX_FRAMES):
        if frame is None:
            break
        if frame.f_code.co_filename.startswith(guard.root):
            return not _READERS.isdisjoint(frame.f_code.co_names)
        frame = frame.f_back
    return False


def keep(guard: Guard, text: str) -> None:
    """Keep a text in whose cells data has line ends: until the code takes it apart by lines."""
    kept: list[str] = guard.provenance.kept.setdefault(_KEPT, [])
    if len(kept) < _MAX_KEPT and text not in kept:
        kept.append(text)


def is_kept(guard: Guard, text: str) -> bool:
    """Tell whether a text is one that was kept, but for blanks around it."""
    kept: list[str] = guard.provenance.kept.get(_KEPT, [])
    return any(text.strip() == one.strip() for one in kept)


def holding(text: str, spans: Sequence[Span]) -> Callable[[Span], bool]:
    """Return what tells of data whether it is within a cell that the code has put in quotes."""
    cells = set(_cells(text)) & set(_cells(neutral(text, spans)))
    return lambda span: any(start <= span.start and span.end <= end for start, end in cells)


def _cells(text: str) -> list[tuple[int, int]]:
    """Return where the cells are that have quotes, without these: as RFC 4180 has it."""
    found: list[tuple[int, int]] = []
    place, size = 0, len(text)
    while place < size:
        if text[place] == '"':
            end = _closing(text, place + 1)
            if end < 0:
                return []
            found.append((place + 1, end))
            place = end + 1
            if text[place : place + 1] not in ("", *_SEPARATORS, "\r", "\n"):
                return []  # what follows a quote is no separator: another language
        while place < size and text[place] not in _SEPARATORS and text[place] not in "\r\n":
            place += 1
        place += 1
    return found


def _closing(text: str, place: int) -> int:
    while (end := text.find('"', place)) >= 0 and text[end + 1 : end + 2] == '"':
        place = end + 2
    return end
