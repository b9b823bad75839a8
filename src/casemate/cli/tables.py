"""Tables on a terminal: as wide as it is, and never with a word broken in two.

Ids, digests and names are there to be copied. Where a table is too wide, what a command names goes
below each row, and what stands at the right where that is not enough; where fewer than three
columns would be left, each row becomes a list. Only spaces end a line.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Sequence

GAP = 2
"""Spaces between columns."""
_INDENT = 4
_LEAST = 3
"""Columns that make a table of what was not meant to go below: of two a list is as good."""


class Table:
    """Columns and rows of safe text, one line each, laid out for a width in characters."""

    def __init__(
        self, columns: Sequence[str], rows: Sequence[Sequence[str]], below: Collection[str] = ()
    ) -> None:
        """`below` names the columns that go under their row where the table is too wide."""
        self._columns = columns
        self._rows = rows
        self._below = below

    def lines(self, width: int) -> Iterator[tuple[str, bool]]:
        """Yield each line, and whether it is a heading."""
        every = range(len(self._columns))
        kept = [i for i in every if self._columns[i] not in self._below]
        # Those at the right tell least of which row it is.
        fewer = (kept[:number] for number in range(len(kept) - 1, _LEAST - 1, -1))
        for shown in (list(every), kept, *fewer):
            if shown and self._total(shown) <= width:
                yield from self._table(shown, [i for i in every if i not in shown], width)
                return
        yield from self._list(width)

    def _width(self, column: int) -> int:
        return max(len(self._columns[column]), *(len(row[column]) for row in self._rows))

    def _total(self, shown: Sequence[int]) -> int:
        return sum(map(self._width, shown)) + GAP * (len(shown) - 1)

    def _table(
        self, shown: Sequence[int], below: Sequence[int], width: int
    ) -> Iterator[tuple[str, bool]]:
        widths = [self._width(column) for column in shown]

        def joined(cells: Sequence[str]) -> str:
            padded = (cells[c].ljust(size) for c, size in zip(shown, widths, strict=True))
            return (" " * GAP).join(padded).rstrip()

        yield joined(self._columns), True
        for row in self._rows:
            yield joined(row), False
            for line in self._told(row, below, width):
                yield line, False

    def _told(self, row: Sequence[str], columns: Sequence[int], width: int) -> Iterator[str]:
        """Yield what stands below a row: names and values, as many on a line as fit.

        A dash says that there is none, for which a column has to have something.
        """
        line = ""
        for column in columns:
            if row[column] in ("", "-"):
                continue
            part = f"{self._columns[column]} {row[column]}"
            if line and len(line) + GAP + len(part) <= width:
                line += " " * GAP + part
                continue
            yield from _wrapped(line, width)
            line = " " * _INDENT + part
        yield from _wrapped(line, width)

    def _list(self, width: int) -> Iterator[tuple[str, bool]]:
        label = max(map(len, self._columns))
        for number, row in enumerate(self._rows):
            if number:
                yield "", False
            for name, cell in zip(self._columns, row, strict=True):
                if cell:
                    for line in _wrapped(f"{name.ljust(label)}  {cell}", width, label + GAP):
                        yield line, False


def _wrapped(line: str, width: int, indent: int = 2 * _INDENT) -> Sequence[str]:
    """Break a line at spaces; a word that is longer than the width stays whole.

    One that is so only by the indent is indented less.
    """
    if len(line) <= width:
        return [line] if line else []
    longest = max(map(len, line.split()), default=0)
    if longest <= width:
        indent = min(indent, width - longest)
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
