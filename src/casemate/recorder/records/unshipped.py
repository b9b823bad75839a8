"""The newest rows of this node, in memory: what is told to other nodes is not read again.

Used on the thread that writes alone. What is here is what was committed, and what the transaction
that runs has inserted. Where a commit failed all is forgotten: it may be there nevertheless.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

Row = tuple[str | int | float | None, ...]
MAX_ROWS: Final = 8192
"""Of one table that are here, some 8 MB of memory; older ones are read again."""
MAX_CHARACTERS: Final = 4 << 20
"""Of text in them."""


class Found(NamedTuple):
    """Some rows of a table, in their order."""

    rows: list[Row]
    last: int
    """Number of the last of them."""
    whole: bool
    """There are no others."""


class _Chunk(NamedTuple):
    first: int
    rows: Sequence[Row]
    text: int

    @property
    def last(self) -> int:
        return self.first + len(self.rows) - 1


class _Table:
    """Those of one: all after `since`."""

    def __init__(self, since: int) -> None:
        self.since = since
        self.chunks: deque[_Chunk] = deque()
        self.rows = self.text = 0

    def add(self, chunk: _Chunk) -> None:
        self.chunks.append(chunk)
        self._count(chunk, 1)
        while self.rows > MAX_ROWS or self.text > MAX_CHARACTERS:
            self.drop()

    def drop(self) -> None:
        oldest = self.chunks.popleft()
        self.since = oldest.last
        self._count(oldest, -1)

    def undo(self) -> None:
        self._count(self.chunks.pop(), -1)

    def _count(self, chunk: _Chunk, by: int) -> None:
        self.rows += by * len(chunk.rows)
        self.text += by * chunk.text


class Unshipped:
    """Rows by table, once somebody wants them."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self.wanted = False
        """Somebody tells other nodes."""
        self._open = self._blind = False
        self._tables: dict[str, _Table] = {}
        self._added: list[str] = []

    def begin(self) -> None:
        """A transaction begins."""
        if self._open:
            self._lose()
        self._open, self._blind = True, False
        self._added.clear()

    def committed(self) -> None:
        """It is durable."""
        self._open = False

    def mark(self) -> int:
        """Return what `forget` needs to know before a change."""
        return len(self._added)

    def forget(self, mark: int) -> None:
        """What was added since was undone."""
        while len(self._added) > mark:
            table = self._tables[self._added.pop()]
            if not table.chunks:
                self._lose()  # there was more of it than is kept
                return
            table.undo()

    def _lose(self) -> None:
        self._tables.clear()
        self._added.clear()
        self._blind = True  # what is added until the next transaction begins has no mark

    def add(self, table: str, numbers: Sequence[int], rows: Sequence[Row], text: int) -> None:
        """Rows were inserted, in order, with these numbers and so many characters of text."""
        if not self.wanted or self._blind or not rows:
            return
        if numbers[-1] - numbers[0] + 1 != len(rows):
            self._lose()
            return
        if table not in self._tables:
            self._tables[table] = _Table(numbers[0] - 1)
        self._tables[table].add(_Chunk(numbers[0], rows, text))
        self._added.append(table)

    def after(self, name: str, number: int, most: int, most_text: int) -> Found | None:
        """Return rows after one that was told, which are forgotten up to there.

        At most so many, with one more row than so much text. None: they are not all here. From now
        on they are kept.
        """
        self.wanted = True
        table = self._tables.get(name)
        if table is None or table.since > number:
            return None
        while table.chunks and table.chunks[0].last <= number:
            table.drop()
        rows: list[Row] = []
        for chunk in table.chunks:
            part = chunk.rows[max(number - chunk.first + 1, 0) :]
            if len(rows) + len(part) > most or chunk.text > most_text:
                part = _fitting(part, most - len(rows), most_text)
                last = max(number, chunk.first - 1) + len(part)
                rows += part
                return Found(rows, last, whole=last == table.chunks[-1].last)
            rows += part
            most_text -= chunk.text
        last = table.chunks[-1].last if table.chunks else number
        return Found(rows, last, whole=True)


def _fitting(rows: Sequence[Row], most: int, most_text: int) -> Sequence[Row]:
    for count, row in enumerate(rows[:most], 1):
        most_text -= sum([len(value) for value in row if type(value) is str])
        if most_text <= 0:
            return rows[:count]
    return rows[:most]
