"""Items of tables: written with their secondary indexes in one transaction, and read by key."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from casemate.data.attributes import Scalar, indexed, is_number, require_key
from casemate.data.database import Connection
from casemate.data.errors import LimitError
from casemate.data.interface import Item
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError
from casemate.model.grant import TableIndex, TableSpec

if TYPE_CHECKING:
    from casemate.data.resources import Resource
    from casemate.data.writer import Work

NO_SORT = ""
"""What stands in the sort column of tables and indexes without a sort attribute."""

Entry = tuple[int, Scalar, Scalar, Scalar, Scalar]
"""A row of an index: its id, the item's indexed values, and the item's own key."""


def spec_of(resource: Resource) -> TableSpec:
    """Return a table's declaration."""
    if not isinstance(resource.spec, TableSpec):
        raise InvalidInputError(f"{resource.name} is a {resource.kind}, expected a table.")
    return resource.spec


def key_of(spec: TableSpec, value: Mapping[str, Any]) -> tuple[Scalar, Scalar]:
    """Return where an item belongs. Raises InvalidInputError if a key attribute is missing."""
    for attribute in filter(None, (spec.key, spec.sort)):
        if attribute not in value:
            raise InvalidInputError(
                f"The item has no attribute {attribute!r}, which is a key of the table {spec.name}."
            )
    key = require_key(f"attribute {spec.key!r}", value[spec.key])
    if spec.sort is None:
        return key, NO_SORT
    return key, require_key(f"attribute {spec.sort!r}", value[spec.sort])


def given_key(spec: TableSpec, key: object, sort: object) -> tuple[Scalar, Scalar]:
    """Return a key as it is stored. Raises InvalidInputError if a part is missing or too much."""
    if (sort is None) != (spec.sort is None):
        expected = "none" if spec.sort is None else f"one ({spec.sort})"
        raise InvalidInputError(
            f"A sort value is {'missing' if sort is None else 'given'}; "
            f"the table {spec.name} has {expected}."
        )
    return require_key("key", key), NO_SORT if sort is None else require_key("sort value", sort)


def expiry_of(ttl: str | None, value: Mapping[str, Any]) -> float | None:
    """Return when an item is over; None if it has no number for that."""
    moment = value.get(ttl) if ttl is not None else None
    return float(moment) if is_number(moment) else None  # type: ignore[arg-type]


def put(
    work: Work, table: Resource, value: dict[str, Any], encoded: bytes, if_revision: int | None
) -> Item:
    """Write an item whole. Raises ConflictError, LimitError, InvalidInputError."""
    spec = spec_of(table)
    if len(encoded) > spec.max_item:
        raise LimitError(
            f"The item has {len(encoded)} bytes as JSON; the table {spec.name} takes "
            f"{spec.max_item}.",
            next_step="Keep large content in a bucket and its key in the item.",
        )
    key, sort = key_of(spec, value)
    connection, now = work.connection, time.time()
    row = _row(connection, table.id, key, sort)
    _require_revision(row, if_revision, now)
    revision = 1 + (row[1] if row is not None else _floor(connection, table.id))
    new = _entries(spec, table.indexes, key, sort, value)
    expiry = expiry_of(spec.ttl, value)
    if row is None:
        connection.execute(
            "INSERT INTO item (tab, key, sort, revision, modified_at, expires_at, value) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (table.id, key, sort, revision, now, expiry, encoded),
        )
        _add_entries(connection, new)
    else:
        connection.execute(
            "UPDATE item SET revision = ?, modified_at = ?, expires_at = ?, value = ? WHERE id = ?",
            (revision, now, expiry, encoded, row[0]),
        )
        if table.indexes:
            old = _entries(spec, table.indexes, key, sort, msgspec.json.decode(row[3]))
            _remove_entries(connection, old - new)
            _add_entries(connection, new - old)
    return Item(value=value, revision=revision, modified_at=now)


def delete(work: Work, table: Resource, key: object, sort: object, if_revision: int | None) -> None:
    """Delete an item. Raises ConflictError if a condition does not hold."""
    spec = spec_of(table)
    place = given_key(spec, key, sort)
    row = _row(work.connection, table.id, *place)
    _require_revision(row, if_revision, time.time())
    if row is not None:
        remove(work.connection, table, *place, row)


def remove(
    connection: Connection,
    table: Resource,
    key: Scalar,
    sort: Scalar,
    row: tuple[int, int, float | None, bytes],
) -> None:
    """Delete a stored item and what indexes hold of it; remember its revision."""
    if table.indexes:
        value = msgspec.json.decode(row[3])
        _remove_entries(connection, _entries(spec_of(table), table.indexes, key, sort, value))
    connection.execute("DELETE FROM item WHERE id = ?", (row[0],))
    raise_floor(connection, table.id, row[1])


def raise_floor(connection: Connection, resource: int, revision: int) -> None:
    """Let no key that is made from now on have a revision up to `revision`."""
    connection.execute(
        "UPDATE resource SET floor = max(floor, ?) WHERE id = ?", (revision, resource)
    )


def get(connection: Connection, table: Resource, key: object, sort: object) -> Item:
    """Return an item. Raises NotFoundError if there is none or its time is over."""
    place = given_key(spec_of(table), key, sort)
    row = connection.execute(
        "SELECT value, revision, modified_at, expires_at FROM item "
        "WHERE tab = ? AND key = ? AND sort = ?",
        (table.id, *place),
    ).fetchone()
    if row is None or (row[3] is not None and row[3] <= time.time()):
        raise NotFoundError(
            f"The table {table.name} has no such item.",
            next_step="Check the key; `casemate tables query` shows the items that are there.",
        )
    return Item(value=msgspec.json.decode(row[0]), revision=row[1], modified_at=row[2])


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


def _row(connection: Connection, table: int, key: Scalar, sort: Scalar) -> Any:
    return connection.execute(
        "SELECT id, revision, expires_at, value FROM item WHERE tab = ? AND key = ? AND sort = ?",
        (table, key, sort),
    ).fetchone()


def _floor(connection: Connection, resource: int) -> int:
    row = connection.execute("SELECT floor FROM resource WHERE id = ?", (resource,)).fetchone()
    return int(row[0])


def _require_revision(row: Any, expected: int | None, now: float) -> None:
    if expected is None:
        return
    gone = row is None or (row[2] is not None and row[2] <= now)
    found = 0 if gone else row[1]
    if found != expected:
        raise ConflictError(
            f"The item has revision {found}, expected {expected} (0: no item).",
            next_step="Read it again and decide anew.",
        )


def _entries(
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


def _add_entries(connection: Connection, entries: set[Entry]) -> None:
    if entries:
        connection.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", entries)


def _remove_entries(connection: Connection, entries: set[Entry]) -> None:
    if entries:
        connection.executemany(
            "DELETE FROM entry WHERE secondary = ? AND key = ? AND sort = ? "
            "AND item_key = ? AND item_sort = ?",
            entries,
        )
