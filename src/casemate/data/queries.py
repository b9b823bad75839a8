"""Pages of items: by a key of the table or of an index, in order, or all of them."""

from __future__ import annotations

from typing import Any

from casemate.data.attributes import Scalar, require_key
from casemate.data.limits import MAX_RESULT_BYTES, require_text, successor
from casemate.data.marks import read_mark, write_mark
from casemate.data.registry import Resource
from casemate.data.tables import item, spec_of
from casemate.data.terms import Terms, terms_of
from casemate.model.data import MAX_KEY_BYTES, Item, ItemPage, Range
from casemate.model.errors import InvalidInputError, NotFoundError
from casemate.sqlite.engine import Connection
from casemate.sqlite.transaction import one_state

Condition = tuple[str, list[Any]]
"""SQL made of constant text only, and the values that belong to it."""


class Query:
    """One question to a table, checked and ready to run."""

    def __init__(
        self,
        table: Resource,
        *,
        key: object,
        index: str | None,
        sort: Range | None,
        after: str | None,
        limit: int,
        descending: bool,
        secret: bytes,
    ) -> None:
        """Check the question. Raises InvalidInputError, NotFoundError for an unknown index."""
        self._index = None if index is None else _index(table, index)
        self._table = table
        self._key = None if key is None else require_key("key", key)
        self._descending = descending
        self._limit = limit
        self._secret = secret
        bounds = _bounds(sort)
        if bounds and key is None:
            raise InvalidInputError(
                "A condition on the sort attribute is given without a key.",
                next_step="Pass the key too, or read all items without a condition.",
            )
        if bounds and not self._has_sort():
            raise InvalidInputError(
                "A condition is given on a sort attribute that is not there.",
                next_step="Leave the condition out, or ask a table or index that has a `sort`.",
            )
        self._bounds = bounds
        self._question = (table.id, self._index, self._key, bounds, descending)
        self._position = None
        if after is not None:
            self._position = read_mark(secret, self._question, after, len(self._order()))

    def run(self, connection: Connection) -> ItemPage:
        """Return the page. It ends at the limit or at MAX_RESULT_BYTES, whichever is first."""
        terms = terms_of(connection)
        where, values = self._where(terms)
        way = "DESC" if self._descending else "ASC"
        order = ", ".join(f"{column} {way}" for column in self._order())
        if self._index is None:
            source = "item"
        else:
            # CROSS: the index leads, never the table (sqlite.org/optoverview.html, 8).
            source = "entry CROSS JOIN item"
            where = (
                "item.tab = ? AND item.key = entry.item_key AND item.sort = entry.item_sort AND "
                + where
            )
            values.insert(0, self._table.id)
        statement = (
            f"SELECT item.value, item.revision, item.modified_at, item.labels, "  # noqa: S608
            f"{', '.join(self._order())} "
            f"FROM {source} WHERE {where} ORDER BY {order} LIMIT ?"
        )
        inner = ", ".join(f"{column.partition('.')[2]} {way}" for column in self._order())
        bounded = terms.within(statement, "value", inner)
        return self._page(connection, bounded, [*values, self._limit + 1])

    def _page(self, connection: Connection, statement: str, values: list[Any]) -> ItemPage:
        items: list[Item] = []
        position: tuple[Any, ...] = ()
        terms, size = terms_of(connection), 0
        columns = len(self._order())
        with one_state(connection):
            for value, revision, modified_at, labels, *rest in connection.execute(
                statement, values
            ):
                place = rest[:columns]
                size += len(value)
                if len(items) == self._limit or (items and size > MAX_RESULT_BYTES):
                    after = write_mark(self._secret, self._question, position)
                    return ItemPage(items=tuple(items), after=after)
                position = tuple(place)
                found = item(
                    terms, self._table.id, place[-2:], value, revision, modified_at, labels
                )
                items.append(found)
        return ItemPage(items=tuple(items))

    def _has_sort(self) -> bool:
        spec = spec_of(self._table)
        if self._index is None:
            return spec.sort is not None
        names = {identity: name for name, identity in self._table.indexes.items()}
        name = names[self._index]
        return any(index.name == name and index.sort is not None for index in spec.indexes)

    def _order(self) -> tuple[str, ...]:
        """Return the columns of the order; together they are unique."""
        if self._index is None:
            return ("item.key", "item.sort")
        return ("entry.key", "entry.sort", "entry.item_key", "entry.item_sort")

    def _where(self, terms: Terms) -> Condition:
        prefix = "item" if self._index is None else "entry"
        parts = ["item.tab = ?" if self._index is None else "entry.secondary = ?"]
        values: list[Any] = [self._table.id if self._index is None else self._index]
        columns = list(self._order())
        position = list(self._position or ())
        if self._key is not None:
            parts.append(f"{prefix}.key = ?")
            values.append(terms.key(self._key))
            del columns[0], position[:1]
        for operator, bound in self._bounds:
            parts.append(f"{prefix}.sort {operator} ?")
            values.append(terms.key(bound))
        if position:
            comparison = "<" if self._descending else ">"
            marks = ", ".join("?" * len(columns))
            parts.append(f"({', '.join(columns)}) {comparison} ({marks})")
            values += position
        parts.append("(item.expires_at IS NULL OR item.expires_at > ?)")
        values.append(terms.now())
        return " AND ".join(parts), values


def _index(table: Resource, name: object) -> int:
    found = table.indexes.get(name) if isinstance(name, str) else None
    if found is None:
        names = ", ".join(sorted(table.indexes)) or "none"
        raise NotFoundError(
            f"The table {table.name} has no such index; it has {names}.",
            next_step="Declare the index in the manifest and deploy.",
        )
    return found


def _bounds(sort: Range | None) -> list[tuple[str, Scalar]]:
    """Return a range as comparisons; all are of the one order of numbers and texts."""
    if sort is None:
        return []
    bounds: list[tuple[str, Scalar]] = []
    for operator, what, value in (
        ("=", "equals", sort.equals),
        (">=", "at_least", sort.at_least),
        ("<", "less_than", sort.less_than),
    ):
        if value is not None:
            bounds.append((operator, require_key(what, value)))
    if sort.begins_with is not None:
        prefix = require_text("begins_with", sort.begins_with, most=MAX_KEY_BYTES)
        bounds.append((">=", prefix))
        end = successor(prefix)
        if end is not None:
            bounds.append(("<", end))
    return bounds
