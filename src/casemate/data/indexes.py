"""What is derived from items: entries of secondary indexes, and when each item is over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from casemate.data.attributes import indexed, is_number
from casemate.data.terms import Stored, Terms, terms_of
from casemate.model.grant import TableIndex, TableSpec
from casemate.sqlite.engine import Connection

_BATCH = 200
NO_SORT = ""
"""What stands in the sort column of tables and indexes without a sort attribute."""

Entry = tuple[int, Stored, Stored, Stored, Stored]
"""A row of an index: its id, the item's indexed values, and the item's own key."""


def expiry_of(ttl: str | None, value: Mapping[str, Any]) -> float | None:
    """Return when an item is over; None if it has no number for that."""
    moment = value.get(ttl) if ttl is not None else None
    return float(moment) if is_number(moment) else None  # type: ignore[arg-type]


def build_index(connection: Connection, table: int, identity: int, index: TableIndex) -> None:
    """Fill an index from the items that are there."""
    terms = terms_of(connection)

    def rows() -> Any:
        for _, *place, value in _items(connection, table):
            entry = _entry(terms, identity, index, (place[0], place[1]), value)
            if entry is not None:
                yield entry

    connection.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", rows())


def set_expiry(connection: Connection, table: int, ttl: str | None) -> None:
    """Compute anew when the items of a table are over, after its TTL attribute changed."""

    def rows() -> Any:
        # By id, which the update does not change: no row is seen twice or missed.
        for identity, _, _, value in _items(connection, table):
            yield expiry_of(ttl, value), identity

    connection.executemany("UPDATE item SET expires_at = ? WHERE id = ?", rows())


def _items(connection: Connection, table: int) -> Iterator[tuple[int, Stored, Stored, Any]]:
    """Return number, place and value of a table's items."""
    terms = terms_of(connection)
    statement = terms.within(
        "SELECT id, key, sort, revision, labels, value FROM item "
        "WHERE tab = ? AND id > ? ORDER BY id LIMIT ?",
        "value",
        "id",
    )
    after = 0
    while rows := connection.execute(statement, (table, after, _BATCH)).fetchall():
        for identity, key, sort, revision, labels, value, *_ in rows:
            place = (table, key, sort)
            bound = ("item", *place, revision, terms.open(("item labels", *place), labels))
            opened = terms.open(bound, value)
            yield identity, key, sort, msgspec.json.decode(opened)
        after = rows[-1][0]


def entries(
    terms: Terms,
    spec: TableSpec,
    identities: Mapping[str, int],
    place: tuple[Stored, Stored],
    value: Mapping[str, Any],
) -> set[Entry]:
    entries = (_entry(terms, identities[index.name], index, place, value) for index in spec.indexes)
    return {entry for entry in entries if entry is not None}


def _entry(
    terms: Terms,
    identity: int,
    index: TableIndex,
    place: tuple[Stored, Stored],
    value: Mapping[str, Any],
) -> Entry | None:
    first = indexed(value.get(index.key))
    second = NO_SORT if index.sort is None else indexed(value.get(index.sort))
    if first is None or second is None:
        return None
    return identity, terms.key(first), terms.key(second), *place


def add_entries(connection: Connection, entries: set[Entry]) -> None:
    if entries:
        connection.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", entries)


def remove_entries(connection: Connection, entries: set[Entry]) -> None:
    if entries:
        connection.executemany(
            "DELETE FROM entry WHERE secondary = ? AND key = ? AND sort = ? "
            "AND item_key = ? AND item_sort = ?",
            entries,
        )
