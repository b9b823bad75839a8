"""Items of tables: written with their secondary indexes in one transaction, and read by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from casemate.data.attributes import Scalar, require_key
from casemate.data.errors import LimitError
from casemate.data.fanout import Fanout
from casemate.data.indexes import NO_SORT, add_entries, entries, expiry_of, remove_entries
from casemate.data.registry import Resource
from casemate.data.terms import Stored, Terms, terms_of
from casemate.data.terms import now as now_of
from casemate.data.work import Work
from casemate.model.data import Item
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError
from casemate.model.grant import TableSpec
from casemate.sqlite.engine import Connection


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


def put(
    work: Work,
    table: Resource,
    fanout: Fanout,
    value: dict[str, Any],
    encoded: bytes,
    if_revision: int | None,
    labels: bytes = b"",
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
    connection, now = work.connection, now_of(work.connection)
    terms = terms_of(connection)
    place = terms.key(key), terms.key(sort)
    row = _row(connection, table.id, place)
    _require_revision(row, if_revision, now)
    revision = 1 + (row[1] if row is not None else _floor(connection, table.id))
    new = entries(terms, spec, table.indexes, place, value)
    sealed = terms.seal(("item", table.id, *place, revision, labels), encoded)
    expiry = expiry_of(spec.ttl, value)
    if row is None:
        connection.execute(
            "INSERT INTO item (tab, key, sort, revision, modified_at, expires_at, value, labels) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                table.id,
                *place,
                revision,
                now,
                expiry,
                sealed,
                terms.seal(("item labels", table.id, *place), labels),
            ),
        )
        add_entries(connection, new)
    else:
        connection.execute(
            "UPDATE item SET revision = ?, modified_at = ?, expires_at = ?, value = ? WHERE id = ?",
            (revision, now, expiry, sealed, row[0]),
        )
        if labels != row[4]:
            connection.execute(
                "UPDATE item SET labels = ? WHERE id = ?",
                (terms.seal(("item labels", table.id, *place), labels), row[0]),
            )
        if table.indexes:
            old = entries(terms, spec, table.indexes, place, msgspec.json.decode(row[3]))
            remove_entries(connection, old - new)
            add_entries(connection, new - old)
    if table.name in fanout.routes.tables:
        _tell_put(work, table, fanout, (key, sort), row, encoded, revision, labels, now)
    return Item(value=value, revision=revision, modified_at=now, labels=labels)


def _tell_put(
    work: Work,
    table: Resource,
    fanout: Fanout,
    place: tuple[Scalar, Scalar],
    row: Any,
    encoded: bytes,
    revision: int,
    labels: bytes,
    now: float,
) -> None:
    old = None if row is None else row[3]
    if row is not None and _is_over(row, now):
        # It was over before the sweep came by: what is written now is a new item.
        tell_gone(work, table, fanout, "expired", place, row, now)
        old = None
    fanout.item_changed(
        work,
        table.name,
        "inserted" if old is None else "updated",
        place,
        old=old,
        new=encoded,
        revision=revision,
        labels=labels,
        now=now,
    )


def tell_gone(
    work: Work,
    table: Resource,
    fanout: Fanout,
    event: str,
    place: tuple[Scalar, Scalar],
    row: Any,
    now: float,
) -> None:
    """Tell of a stored item that was `deleted` or has `expired`."""
    fanout.item_changed(
        work,
        table.name,
        event,
        place,
        old=row[3],
        new=None,
        revision=row[1],
        labels=row[4],
        now=now,
    )


def delete(
    work: Work,
    table: Resource,
    fanout: Fanout,
    key: object,
    sort: object,
    if_revision: int | None,
) -> None:
    """Delete an item. Raises ConflictError if a condition does not hold."""
    spec = spec_of(table)
    given = given_key(spec, key, sort)
    terms = terms_of(work.connection)
    row = _row(work.connection, table.id, tuple(map(terms.key, given)))
    now = now_of(work.connection)
    _require_revision(row, if_revision, now)
    if row is not None:
        event = "expired" if _is_over(row, now) else "deleted"
        remove(work, table, fanout, given, row, event, now)


def remove(
    work: Work,
    table: Resource,
    fanout: Fanout,
    place: tuple[Scalar, Scalar],
    row: Sequence[Any],
    event: str,
    now: float,
) -> None:
    """Delete a stored item and what indexes hold of it; remember its revision; tell of `event`."""
    connection = work.connection
    if table.indexes:
        value, terms = msgspec.json.decode(row[3]), terms_of(connection)
        kept = terms.key(place[0]), terms.key(place[1])
        remove_entries(connection, entries(terms, spec_of(table), table.indexes, kept, value))
    if table.name in fanout.routes.tables:
        tell_gone(work, table, fanout, event, place, row, now)
    connection.execute("DELETE FROM item WHERE id = ?", (row[0],))
    raise_floor(connection, table.id, row[1])


def raise_floor(connection: Connection, resource: int, revision: int) -> None:
    """Let no key that is made from now on have a revision up to `revision`."""
    connection.execute(
        "UPDATE resource SET floor = ? WHERE id = ? AND floor < ?", (revision, resource, revision)
    )


def get(connection: Connection, table: Resource, key: object, sort: object) -> Item:
    """Return an item. Raises NotFoundError if there is none or its time is over."""
    terms = terms_of(connection)
    place = tuple(map(terms.key, given_key(spec_of(table), key, sort)))
    row = connection.execute(
        "SELECT value, revision, modified_at, labels, expires_at FROM item "
        "WHERE tab = ? AND key = ? AND sort = ?",
        (table.id, *place),
    ).fetchone()
    if row is None or (row[4] is not None and row[4] <= terms.now()):
        raise NotFoundError(
            f"The table {table.name} has no such item.",
            next_step="Check the key; `casemate tables query` shows the items that are there.",
        )
    return item(terms, table.id, place, *row[:4])


def item(
    terms: Terms,
    table: int,
    place: Sequence[Stored],
    value: bytes,
    revision: int,
    modified_at: float,
    labels: bytes,
) -> Item:
    """Return a stored item."""
    labels = terms.open(("item labels", table, *place), labels)
    value = terms.open(("item", table, *place, revision, labels), value)
    return Item(
        value=msgspec.json.decode(value),
        revision=revision,
        modified_at=modified_at,
        labels=labels,
    )


def _row(connection: Connection, table: int, place: tuple[Stored, ...]) -> Any:
    row = connection.execute(
        "SELECT id, revision, expires_at, value, labels FROM item "
        "WHERE tab = ? AND key = ? AND sort = ?",
        (table, *place),
    ).fetchone()
    return None if row is None else opened(terms_of(connection), table, place, row)


def opened(terms: Terms, table: int, place: Sequence[Stored], row: Sequence[Any]) -> Any:
    """Return a row of id, revision, time of expiry, value and labels with the last two opened."""
    identity, revision, expires_at, value, labels = row
    labels = terms.open(("item labels", table, *place), labels)
    value = terms.open(("item", table, *place, revision, labels), value)
    return identity, revision, expires_at, value, labels


def _floor(connection: Connection, resource: int) -> int:
    row = connection.execute("SELECT floor FROM resource WHERE id = ?", (resource,)).fetchone()
    return int(row[0])


def _require_revision(row: Any, expected: int | None, now: float) -> None:
    if expected is None:
        return
    found = 0 if row is None or _is_over(row, now) else row[1]
    if found != expected:
        raise ConflictError(
            f"The item has revision {found}, expected {expected} (0: no item).",
            next_step="Read it again and decide anew.",
        )


def _is_over(row: Any, now: float) -> bool:
    return row[2] is not None and row[2] <= now
