"""A part of a node's state as it is on one engine: the control store, or one project.

Rows are read one after the other and written in batches, so that memory is bounded whatever there
is of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, Final

from casemate.data.postgresql.terms import within
from casemate.migration.errors import UnstorableError
from casemate.migration.forms import Form, Row
from casemate.migration.tables import KEYED, Table
from casemate.sqlite.engine import Connection
from casemate.sqlite.family import Family
from casemate.sqlite.rows import insert_rows
from casemate.sqlite.transaction import transaction

Step = Callable[[int], None]
"""Is told how many rows have passed."""
BATCH_ROWS: Final = 256
BATCH_BYTES: Final = 4 << 20
_PAGE_ROWS: Final = 256
_SURROGATES = range(0xD800, 0xE000)


class Part:
    """What both engines' parts have."""

    def __init__(self, connection: Connection, form: Form, family: Family, name: str) -> None:
        """Use a connection, which its opener closes. `name` tells people what it is."""
        self.connection = connection
        self.form = form
        self.family = family
        self.name = name

    def rows(self, table: Table) -> Iterator[Row]:
        """Give a table's rows as they pass. Raises what `family` calls an error."""
        with self.family.translated():
            for row in self._kept(table):
                yield self.form.taken(table, row)

    def write(self, table: Table, rows: Iterable[Row]) -> None:
        """Write rows that pass, a batch in each transaction."""
        batch: list[Row] = []
        size = 0
        for row in chain(rows, [None]):
            if batch and (row is None or len(batch) >= BATCH_ROWS or size >= BATCH_BYTES):
                with transaction(self.connection, self.family):
                    self._insert(table, [self.form.kept(table, one) for one in batch])
                batch, size = [], 0
            if row is not None:
                batch.append(row)
                size += sum(len(value) for value in row if isinstance(value, bytes | str))

    def counter(self, table: Table) -> int:
        """Return the highest number that a table's counter has given."""
        with self.family.translated():
            return self._counted(table)

    def count_from(self, table: Table, number: int) -> None:
        """Have no number given again up to this one."""
        with transaction(self.connection, self.family):
            self._count_from(table, number)

    def _kept(self, table: Table) -> Iterator[Row]:
        raise NotImplementedError

    def _insert(self, table: Table, rows: list[Row]) -> None:
        raise NotImplementedError

    def _counted(self, table: Table) -> int:
        raise NotImplementedError

    def _count_from(self, table: Table, number: int) -> None:
        raise NotImplementedError

    def _highest(self, table: Table) -> int:
        found = self.connection.execute(
            f"SELECT coalesce(max({table.counter}), 0) FROM {table.name}"  # noqa: S608
        ).fetchone()
        return int(found[0])


class SqlitePart(Part):
    """In a file of the node's own."""

    def __init__(self, connection: Connection, form: Form, family: Family, name: str) -> None:
        """See `Part`. Text that is none is given all the same, and is refused by name here."""
        super().__init__(connection, form, family, name)
        connection.text_factory = _text

    def _kept(self, table: Table) -> Iterator[Row]:
        where = f"WHERE {table.where}" if table.where else ""
        rows = self.connection.execute(
            f"SELECT {', '.join(table.columns)} FROM {table.name} {where}"  # noqa: S608
        )
        plain = _plain_columns(table)
        for row in rows:
            for column, value in zip(table.columns, row, strict=True):
                if isinstance(value, str) and not value.isascii():
                    self._require_text(table, row, column, value)
                if column in plain and isinstance(value, str) and "\0" in value:
                    raise self._unstorable(table, row, column, "a NUL character")
            yield row

    def _require_text(self, table: Table, row: Row, column: str, value: str) -> None:
        if any(ord(character) in _SURROGATES for character in value):
            raise self._unstorable(table, row, column, "text that is no Unicode")

    def _unstorable(self, table: Table, row: Row, column: str, what: str) -> UnstorableError:
        number = row[table.columns.index(table.counter)] if table.counter else "?"
        which = f"row {number}" if table.counter else "a row"
        return UnstorableError(
            f"PostgreSQL does not keep what is in {self.name}: the column {column} of {which} of "
            f"the table {table.name} has {what}. Nothing was moved.",
            next_step="Change or delete that on the node, stop it, and move again.",
        )

    def _insert(self, table: Table, rows: list[Row]) -> None:
        insert_rows(self.connection, f"INSERT INTO {table.name} ({', '.join(table.columns)})", rows)

    def _counted(self, table: Table) -> int:
        if not table.lasting:
            return self._highest(table)
        row = self.connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = ?", (table.name,)
        ).fetchone()
        return 0 if row is None else int(row[0])

    def _count_from(self, table: Table, number: int) -> None:
        if table.lasting:
            self.connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table.name,))
            self.connection.execute(
                "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table.name, number)
            )


class PostgresqlPart(Part):
    """In a schema of a server."""

    def _kept(self, table: Table) -> Iterator[Row]:
        order = ", ".join(table.order)
        where = f"AND {table.where}" if table.where else ""
        statement = (
            f"SELECT {', '.join(table.columns)} FROM {table.name} "  # noqa: S608
            f"WHERE ({order}) > ({', '.join('?' * len(table.order))}) {where} "
            f"ORDER BY {order} LIMIT {_PAGE_ROWS:d}"
        )
        if table.content:
            statement = within(statement, f"coalesce({table.content}, '')", order)
        at = [table.columns.index(name) for name in table.order]
        after: tuple[Any, ...] = table.least
        while rows := self.connection.execute(statement, after).fetchall():
            for row in rows:
                yield row[: len(table.columns)]
            after = tuple(rows[-1][place] for place in at)

    def _insert(self, table: Table, rows: list[Row]) -> None:
        values = f"({', '.join('?' * len(table.columns))})"
        self.connection.executemany(
            f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES {values}",  # noqa: S608
            rows,
        )

    def _counted(self, table: Table) -> int:
        row = self.connection.execute(
            f"SELECT coalesce(pg_sequence_last_value({_SEQUENCE}), 0)",
            _sequence(table),
        ).fetchone()
        return int(row[0])

    def _count_from(self, table: Table, number: int) -> None:
        number = max(number, self._highest(table))
        if number:
            self.connection.execute(
                f"SELECT setval({_SEQUENCE}, ?)",
                (*_sequence(table), number),
            )


_SEQUENCE: Final = "to_regclass(coalesce(pg_get_serial_sequence(?, ?), ?))"


def _sequence(table: Table) -> tuple[str, str, str]:
    """Return what finds the counter: the column's own, or one that is asked before rows are."""
    return table.name, table.counter, f"{table.name}_number"


def _plain_columns(table: Table) -> frozenset[str]:
    """Return the columns whose text a server keeps as text."""
    hidden = {*table.keys, *table.tokens}
    if table.sealed is not None:
        hidden |= {one.column for one in table.sealed.columns}
    if table.name in KEYED:
        hidden.add("key")
    return frozenset(set(table.columns) - hidden)


def _text(kept: bytes) -> str:
    return kept.decode("utf-8", "surrogateescape")
