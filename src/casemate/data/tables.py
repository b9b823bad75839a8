"""Items of tables: written with their secondary indexes in one transaction, and read by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from casemate.data.attributes import Scalar, require_key
from casemate.data.errors import LimitError, TooLargeError
from casemate.data.fanout import Fanout, gathering
from casemate.data.indexes import NO_SORT, Entry, add_entries, entries, expiry_of, remove_entries
from casemate.data.limits import MAX_RESULT_BYTES
from casemate.data.registry import Resource
from casemate.data.terms import Stored, Terms, terms_of
from casemate.data.terms import now as now_of
from casemate.data.work import Work
from casemate.model.data import Item
from casemate.model.errors import CasemateError, ConflictError, InvalidInputError, NotFoundError
from casemate.model.grant import TableSpec
from casemate.sqlite.engine import Connection

_INSERT = "INSERT INTO item (tab, key, sort, revision, modified_at, expires_at, value, labels)"
_OR_UPDATE = (
    "ON CONFLICT (tab, key, sort) DO UPDATE SET revision = excluded.revision, "
    "modified_at = excluded.modified_at, expires_at = excluded.expires_at, "
    "value = excluded.value, labels = excluded.labels"
)
_DELETE = "DELETE FROM item WHERE id IN (SELECT CAST(value AS INTEGER) FROM json_each(?))"


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


class Put(NamedTuple):
    """An item that is to be written whole."""

    value: dict[str, Any]
    encoded: bytes
    if_revision: int | None
    labels: bytes
    trace: str


class Delete(NamedTuple):
    """An item that is to be deleted."""

    key: object
    sort: object
    if_revision: int | None
    trace: str


Place = tuple[Scalar, Scalar]
Kept = tuple[Stored, Stored]


class Row(NamedTuple):
    """An item as it is stored, value and labels opened."""

    id: int
    revision: int
    expires_at: float | None
    value: bytes
    labels: bytes


class _Items:
    """Items of one table that are changed together, before any of it is written."""

    def __init__(self, connection: Connection, table: Resource, places: Sequence[Kept]) -> None:
        """Read what is there."""
        terms = terms_of(connection)
        self.before: dict[Kept, Row | None] = dict.fromkeys(places)
        size = 0
        for floor, key, sort, *row in terms.items(connection, table.id, list(self.before)):
            self.floor = self._floor = int(floor)
            if row[0] is None:
                continue
            size += len(row[3])
            if size > MAX_RESULT_BYTES and len(self.before) > 1:
                raise LimitError("What these items hold is too much to be read at once.")
            self.before[key, sort] = opened(terms, table.id, (key, sort), row)
        self.now = dict(self.before)
        self._table = table

    def write(self, connection: Connection, now: float) -> None:
        """Write what has become of them."""
        terms, table = terms_of(connection), self._table
        changed = [place for place, row in self.now.items() if row is not self.before[place]]
        written: list[tuple[object, ...]] = []
        deleted: list[int] = []
        old: set[Entry] = set()
        new: set[Entry] = set()
        for place in changed:
            was, row = self.before[place], self.now[place]
            if row is not None:
                written.append(_stored(terms, table.id, place, row, now))
                new |= _entries(terms, table, place, row)
            elif was is not None:
                deleted.append(was.id)
            if was is not None:
                old |= _entries(terms, table, place, was)
        if deleted:
            terms.later(connection, _DELETE, (msgspec.json.encode(deleted).decode(),))
        terms.insert(connection, _INSERT, written, _OR_UPDATE)
        remove_entries(connection, old - new)
        add_entries(connection, new - old)
        if self.floor > self._floor:
            raise_floor(connection, table.id, self.floor)


def change_each(
    work: Work, table: Resource, fanout: Fanout, changes: Sequence[Put | Delete]
) -> list[Item | CasemateError | None]:
    """Write and delete items in their order; return each as it is now, or why it is refused.

    Raises LimitError if those who are told have no room; then nothing may be kept.
    """
    spec, terms, now = spec_of(table), terms_of(work.connection), now_of(work.connection)
    places = [_place_of(spec, change) for change in changes]
    if all(isinstance(place, CasemateError) for place in places):
        return [place for place in places if isinstance(place, CasemateError)]
    stored = [
        (terms.key(place[0]), terms.key(place[1]))
        for place in places
        if not isinstance(place, CasemateError)
    ]
    items = _Items(work.connection, table, stored)
    answers: list[Item | CasemateError | None] = []
    with gathering(work):
        for change, place in zip(changes, places, strict=True):
            if isinstance(place, CasemateError):
                answers.append(place)
                continue
            work.trace = change.trace
            try:
                answers.append(_change(work, table, fanout, items, change, place, now))
            except (ConflictError, InvalidInputError) as error:
                answers.append(error)
            finally:
                work.trace = ""
        items.write(work.connection, now)
    return answers


def _place_of(spec: TableSpec, change: Put | Delete) -> Place | CasemateError:
    try:
        if isinstance(change, Delete):
            return given_key(spec, change.key, change.sort)
        if len(change.encoded) > spec.max_item:
            raise TooLargeError(
                f"The item has {len(change.encoded)} bytes as JSON; the table {spec.name} takes "
                f"{spec.max_item}.",
                next_step="Keep large content in a bucket and its key in the item.",
            )
        return key_of(spec, change.value)
    except CasemateError as error:
        return error


def _change(
    work: Work,
    table: Resource,
    fanout: Fanout,
    items: _Items,
    change: Put | Delete,
    place: Place,
    now: float,
) -> Item | None:
    """Change one item in memory, and tell of it."""
    terms = terms_of(work.connection)
    kept = terms.key(place[0]), terms.key(place[1])
    row = items.now[kept]
    _require_revision(row, change.if_revision, now)
    told = table.name in fanout.routes.tables
    if isinstance(change, Delete):
        if row is not None:
            if told:
                event = "expired" if _is_over(row, now) else "deleted"
                tell_gone(work, table, fanout, event, place, row, now)
            items.floor = max(items.floor, row.revision)
            items.now[kept] = None
        return None
    value, encoded, labels = change.value, change.encoded, change.labels
    revision = 1 + (items.floor if row is None else row.revision)
    if told:
        _tell_put(work, table, fanout, place, row, encoded, revision, labels, now)
    expiry = expiry_of(spec_of(table).ttl, value)
    items.now[kept] = Row(0, revision, expiry, encoded, labels)
    return Item(value=value, revision=revision, modified_at=now, labels=labels)


def _stored(terms: Terms, table: int, place: Kept, row: Row, now: float) -> tuple[object, ...]:
    return (
        table,
        *place,
        row.revision,
        now,
        row.expires_at,
        terms.seal(("item", table, *place, row.revision, row.labels), row.value),
        terms.seal(("item labels", table, *place), row.labels),
    )


def _entries(terms: Terms, table: Resource, place: Kept, row: Row) -> set[Entry]:
    if not table.indexes:
        return set()
    return entries(terms, spec_of(table), table.indexes, place, msgspec.json.decode(row.value))


def _tell_put(
    work: Work,
    table: Resource,
    fanout: Fanout,
    place: Place,
    row: Row | None,
    encoded: bytes,
    revision: int,
    labels: bytes,
    now: float,
) -> None:
    old = None if row is None else row.value
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
    place: Place,
    row: Row,
    now: float,
) -> None:
    """Tell of a stored item that was `deleted` or has `expired`."""
    fanout.item_changed(
        work,
        table.name,
        event,
        place,
        old=row.value,
        new=None,
        revision=row.revision,
        labels=row.labels,
        now=now,
    )


def remove(
    work: Work,
    table: Resource,
    fanout: Fanout,
    place: Place,
    row: Row,
    event: str,
    now: float,
) -> None:
    """Delete a stored item and what indexes hold of it; remember its revision; tell of `event`."""
    connection = work.connection
    terms = terms_of(connection)
    kept = terms.key(place[0]), terms.key(place[1])
    remove_entries(connection, _entries(terms, table, kept, row))
    if table.name in fanout.routes.tables:
        tell_gone(work, table, fanout, event, place, row, now)
    connection.execute("DELETE FROM item WHERE id = ?", (row.id,))
    raise_floor(connection, table.id, row.revision)


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


def opened(terms: Terms, table: int, place: Sequence[Stored], row: Sequence[Any]) -> Row:
    """Return a row of id, revision, time of expiry, value and labels with the last two opened."""
    identity, revision, expires_at, value, labels = row
    labels = terms.open(("item labels", table, *place), labels)
    value = terms.open(("item", table, *place, revision, labels), value)
    return Row(identity, revision, expires_at, value, labels)


def _require_revision(row: Row | None, expected: int | None, now: float) -> None:
    if expected is None:
        return
    found = 0 if row is None or _is_over(row, now) else row.revision
    if found != expected:
        raise ConflictError(
            f"The item has revision {found}, expected {expected} (0: no item).",
            next_step="Read it again and decide again.",
        )


def _is_over(row: Row, now: float) -> bool:
    return row.expires_at is not None and row.expires_at <= now
