"""What is compared of both sides: how many rows each table has, and one number made of all of them.

Each row becomes a keyed hash, and these are added up: so the order in which an engine gives its
rows does not matter, and the number tells nothing of what is in them.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import msgspec

from casemate.migration.errors import NotTheSameError
from casemate.migration.forms import Row
from casemate.migration.tables import UNSEEN, Table

_WHOLE: Final = 1 << 256


@dataclass
class Digest:
    """Of one part: the control store, or a project. The key makes it worthless to anybody else."""

    key: bytes = field(repr=False)
    counts: dict[str, int] = field(default_factory=dict)
    sums: dict[str, int] = field(default_factory=dict)

    def begin(self, table: str) -> None:
        """Have a table counted, also one that is empty."""
        self.counts.setdefault(table, 0)
        self.sums.setdefault(table, 0)

    def add(self, table: Table, row: Row) -> None:
        """Take a row in, without what a move changes."""
        unseen = UNSEEN.get(table.name, frozenset())
        self.add_values(
            table.name, [v for n, v in zip(table.columns, row, strict=True) if n not in unseen]
        )

    def add_values(self, table: str, values: Iterable[Any]) -> None:
        """Take in something that belongs to a table."""
        self.begin(table)
        made = hmac.digest(self.key, msgspec.msgpack.encode((table, *values)), sha256)
        self.counts[table] += 1
        self.sums[table] = (self.sums[table] + int.from_bytes(made)) % _WHOLE

    def through(self, table: Table, rows: Iterable[Row]) -> Iterator[Row]:
        """Give the rows, and take each in."""
        self.begin(table.name)
        for row in rows:
            self.add(table, row)
            yield row

    @property
    def text(self) -> str:
        """All of it in one text."""
        parts = [(name, self.counts[name], f"{self.sums[name]:064x}") for name in sorted(self.sums)]
        return hmac.digest(self.key, msgspec.msgpack.encode(parts), sha256).hex()

    def require_same(self, other: Digest, what: str) -> None:
        """Raise NotTheSameError unless both are of the same rows."""
        for name in sorted({*self.sums, *other.sums}):
            ours, theirs = self.counts.get(name, -1), other.counts.get(name, -1)
            if (ours, self.sums.get(name)) != (theirs, other.sums.get(name)):
                raise NotTheSameError(
                    f"The table {name} of {what} is not the same after it was moved: {ours} rows "
                    f"were read, {theirs} are there. Nothing that was moved is in use.",
                    next_step="Look whether anything else writes there, then move it again.",
                )
