"""What is derived from items: entries of secondary indexes, and when each item is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from casemate.data.attributes import Scalar, indexed, is_number
from casemate.model.grant import TableIndex, TableSpec
from casemate.sqlite.engine import Connection

NO_SORT = ""
"""What stands in the sort column of tables and indexes without a sort attribute."""

Entry = tuple[int, Scalar, Scalar, Scalar, Scalar]
"""A row of an index: its id, the item's indexed values, and the item's own key."""


def expiry_of(ttl: str | None, value: Mapping[str, Any]) -> float | None:
    """Return when an item is over; None if it has no number for that."""
    moment = value.get(ttl) if ttl is not None else None
    return float(moment) if is_number(moment) else None  # type: ignore[arg-type]


def build_index(connection: Connection, table: int, identity: int, index: TableIndex) -> None:
    """Fill an index from the items that are there."""

    def rows() -> Any:
        found = connection.execute("SELECT key, sort, value FROM item WHERE tab = ?", (table,))
        for key, sort, value in found:
            entry = _entry(identity, index, key, sort, msgspec.json.decode(value))
            if entry is not None:
                yield entry

    connection.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", rows())


def set_expiry(connection: Connection, table: int, ttl: str | None) -> None:
    """Compute anew when the items of a table are over, after its TTL attribute changed."""

    def rows() -> Any:
        # By id, which the update does not change: no row is seen twice or missed.
        found = connection.execute("SELECT id, value FROM item WHERE tab = ? ORDER BY id", (table,))
        for identity, value in found.fetchall():
            yield expiry_of(ttl, msgspec.json.decode(value)), identity

    connection.executemany("UPDATE item SET expires_at = ? WHERE id = ?", rows())


def entries(
    spec: TableSpec,
    identities: Mapping[str, int],
    key: Scalar,
    sort: Scalar,
    value: Mapping[str, Any],
) -> set[Entry]:
    entries = (_entry(identities[index.name], index, key, sort, value) for index in spec.indexes)
    return {entry for entry in entries if entry is not None}


def _entry(
    identity: int, index: TableIndex, key: Scalar, sort: Scalar, value: Mapping[str, Any]
) -> Entry | None:
    first = indexed(value.get(index.key))
    second = NO_SORT if index.sort is None else indexed(value.get(index.sort))
    if first is None or second is None:
        return None
    return identity, first, second, key, sort


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
