"""Buckets, tables, queues and topics in memory, with the rules of those of a node.

What is stored lives as long as the test. Limits of size, retention and expiry are left to the node.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterator
from typing import Any

import msgspec

from casemate.data.interface import Range
from casemate.data.tables import given_key, key_of
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError
from casemate.model.grant import TableSpec

Scalar = str | int | float


class StoredObject(msgspec.Struct, frozen=True, kw_only=True):
    """An object with its content."""

    key: str
    revision: int
    content: bytes
    content_type: str
    metadata: dict[str, str]
    modified_at: float

    @property
    def fields(self) -> dict[str, Any]:
        """What a function is told of it."""
        return {
            "key": self.key,
            "revision": self.revision,
            "size": len(self.content),
            "content_type": self.content_type,
            "metadata": self.metadata,
            "modified_at": self.modified_at,
            "sha256": hashlib.sha256(self.content).hexdigest(),
        }


class StoredItem(msgspec.Struct, frozen=True, kw_only=True):
    """A table's item."""

    value: dict[str, Any]
    revision: int
    modified_at: float


class SentMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a queue or topic."""

    id: str
    data: Any
    attributes: dict[str, str]
    key: str = ""
    delay: float = 0.0
    priority: int = 0


def _require(what: str, present: int | None, wanted: int | None) -> None:
    """Hold a condition: 0 is that there is none, a number that this revision is present."""
    if wanted is not None and (present or 0) != wanted:
        raise ConflictError(f"{what} has revision {present or 'none'}, expected {wanted}.")


class MemoryBucket:
    """The objects of one bucket, by key."""

    def __init__(self, name: str) -> None:
        """Begin empty."""
        self.name = name
        self.objects: dict[str, StoredObject] = {}
        self.uploads: dict[str, tuple[str, str, dict[str, str], bytearray]] = {}
        self._revisions: dict[str, int] = {}

    def put(
        self,
        key: str,
        content: bytes,
        content_type: str = "application/octet-stream",
        metadata: dict[str, str] | None = None,
        if_revision: int | None = None,
    ) -> StoredObject:
        """Write an object."""
        present = self.objects.get(key)
        _require(f"The object {key}", present.revision if present else None, if_revision)
        self._revisions[key] = self._revisions.get(key, 0) + 1
        stored = StoredObject(
            key=key,
            revision=self._revisions[key],
            content=content,
            content_type=content_type,
            metadata=metadata or {},
            modified_at=time.time(),
        )
        self.objects[key] = stored
        return stored

    def get(self, key: str, revision: int | None = None) -> StoredObject:
        """Return an object; of several revisions only the present one is kept."""
        found = self.objects.get(key)
        if found is None or revision not in (None, found.revision):
            raise NotFoundError(f"There is no object {key} in the bucket {self.name}.")
        return found

    def delete(self, key: str, if_revision: int | None = None) -> None:
        """Delete an object."""
        present = self.objects.get(key)
        _require(f"The object {key}", present.revision if present else None, if_revision)
        if self.objects.pop(key, None) is not None:
            self._revisions[key] += 1

    def list(self, prefix: str, after: str | None, limit: int) -> tuple[list[StoredObject], bool]:
        """Return a page, by the bytes of the keys, and whether there are more."""
        keys = sorted((k for k in self.objects if k.startswith(prefix)), key=str.encode)
        left = [key for key in keys if after is None or key.encode() > after.encode()]
        return [self.objects[key] for key in left[:limit]], len(left) > limit


class MemoryTable:
    """The items of one table."""

    def __init__(self, spec: TableSpec) -> None:
        """Begin empty."""
        self.spec = spec
        self.items: dict[tuple[Any, Any], StoredItem] = {}

    def put(self, value: dict[str, Any], if_revision: int | None = None) -> StoredItem:
        """Write an item whole."""
        place = key_of(self.spec, value)
        present = self.items.get(place)
        _require(f"The item {place[0]!r}", present.revision if present else None, if_revision)
        stored = StoredItem(
            value=msgspec.json.decode(msgspec.json.encode(value)),
            revision=present.revision + 1 if present else 1,
            modified_at=time.time(),
        )
        self.items[place] = stored
        return stored

    def get(self, key: Scalar, sort: Scalar | None = None) -> StoredItem:
        """Return an item."""
        found = self.items.get(given_key(self.spec, key, sort))
        if found is None:
            raise NotFoundError(f"There is no item {key!r} in the table {self.spec.name}.")
        return found

    def delete(
        self, key: Scalar, sort: Scalar | None = None, if_revision: int | None = None
    ) -> None:
        """Delete an item."""
        place = given_key(self.spec, key, sort)
        present = self.items.get(place)
        _require(f"The item {key!r}", present.revision if present else None, if_revision)
        self.items.pop(place, None)

    def query(
        self, key: Scalar | None, index: str | None, sort: Range | None, *, descending: bool
    ) -> list[StoredItem]:
        """Return items in order."""
        first, second = self._names(index)
        if key is None and (index is not None or sort is not None):
            raise InvalidInputError("An index, or a range of the sort attribute, needs a key.")
        if sort is not None and second is None:
            raise InvalidInputError(f"The table {self.spec.name} has no sort attribute there.")
        found = [
            item
            for item in self.items.values()
            if first in item.value
            and (second is None or second in item.value)
            and (key is None or _same(item.value[first], key))
            and (sort is None or second is None or _within(item.value[second], sort))
        ]
        order = [name for name in (first if key is None else None, second) if name is not None]
        found.sort(key=lambda item: [_order(item.value[name]) for name in order])
        return found[::-1] if descending else found

    def _names(self, index: str | None) -> tuple[str, str | None]:
        if index is None:
            return self.spec.key, self.spec.sort
        for one in self.spec.indexes:
            if one.name == index:
                return one.key, one.sort
        raise NotFoundError(f"The table {self.spec.name} has no index {index}.")


def _same(one: object, other: object) -> bool:
    return isinstance(one, str) == isinstance(other, str) and one == other


def _order(value: Any) -> tuple[int, Any]:
    """Return what sorts as the node does: numbers, then text by code point."""
    return (1, value) if isinstance(value, str) else (0, value)


def _within(value: Any, sort: Range) -> bool:
    checks: Iterator[bool] = iter(
        (
            sort.equals is None or _same(value, sort.equals),
            sort.begins_with is None
            or (isinstance(value, str) and value.startswith(sort.begins_with)),
            sort.at_least is None
            or (_kind(value) == _kind(sort.at_least) and value >= sort.at_least),
            sort.less_than is None
            or (_kind(value) == _kind(sort.less_than) and value < sort.less_than),
        )
    )
    return all(checks)


def _kind(value: object) -> bool:
    return isinstance(value, str)


class MemoryMessages:
    """What was sent to a queue or published to a topic, in order."""

    def __init__(self, name: str) -> None:
        """Begin empty."""
        self.name = name
        self.messages: list[SentMessage] = []
        self._seen: dict[str, str] = {}

    def send(self, deduplication: str | None, **fields: Any) -> str:
        """Keep a message and return its id; the first of those with the same token alone."""
        if deduplication is not None and deduplication in self._seen:
            return self._seen[deduplication]
        message = SentMessage(id=secrets.token_hex(8), **fields)
        self.messages.append(message)
        if deduplication is not None:
            self._seen[deduplication] = message.id
        return message.id
