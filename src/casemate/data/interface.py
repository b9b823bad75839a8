"""The port of a project's data: objects in buckets, items in tables, messages in queues.

Everything is durable when the call returns and encrypted at rest. Sizes are bytes, times Unix
seconds. Raises NotFoundError, ConflictError (a condition does not hold), InvalidInputError, and
LimitError (of `casemate.data`) when a size or count limit is reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from casemate.model.grant import BucketSpec, QueueSpec, Resources, TableSpec

MAX_PAGE = 1000
MAX_KEY_BYTES = 1024
MAX_PART = 8 << 20
"""Largest piece of an object that one call carries; larger objects are written in parts."""


class ObjectInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An object without its content. Revisions of a key only count up, over its deletion too."""

    key: str
    revision: int
    size: int
    content_type: str = "application/octet-stream"
    metadata: dict[str, str] = {}
    modified_at: float
    sha256: str


class ObjectPage(msgspec.Struct, frozen=True, kw_only=True):
    """Keys in byte order; `after` is where the next page starts, None at the end."""

    objects: tuple[ObjectInfo, ...]
    prefixes: tuple[str, ...] = ()
    """With a delimiter: what keys have in common up to it, once each."""
    after: str | None = None


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A table's item. `value` is a JSON object that holds its key attributes too."""

    value: dict[str, Any]
    revision: int
    modified_at: float


class ItemPage(msgspec.Struct, frozen=True, kw_only=True):
    """Items in order; `after` continues, None at the end."""

    items: tuple[Item, ...]
    after: str | None = None


class Range(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A condition on the sort attribute; all that are given hold. Text sorts by code point."""

    equals: str | int | float | None = None
    begins_with: str | None = None
    at_least: str | int | float | None = None
    less_than: str | int | float | None = None


class QueueInfo(msgspec.Struct, frozen=True, kw_only=True):
    """How much waits in a queue or topic."""

    name: str
    waiting: int
    oldest_at: float | None


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message; `body` is JSON."""

    id: str
    body: bytes
    sent_at: float
    attempts: int = 0


class ProjectData(Protocol):
    """The data of all projects. Nothing of one project is reachable by another's name."""

    async def ensure(self, project: str, resources: Resources) -> None:
        """Make what is declared and missing; ConflictError if it is there with other keys.

        Limits, indexes, TTL and retention of what is there are changed to what is declared.
        """
        ...

    async def resources(self, project: str) -> Resources:
        """Return what a project has."""
        ...

    async def drop(self, project: str, kind: str, name: str) -> None:
        """Delete a `bucket`, `table`, `queue` or `topic` with all that is in it."""
        ...

    async def put_object(
        self,
        project: str,
        bucket: str,
        key: str,
        content: bytes,
        *,
        content_type: str = "application/octet-stream",
        metadata: dict[str, str] | None = None,
        if_revision: int | None = None,
    ) -> ObjectInfo:
        """Write an object. `if_revision=0`: only if there is none; n: only if that is present."""
        ...

    async def begin_object(
        self, project: str, bucket: str, key: str, *, content_type: str, metadata: dict[str, str]
    ) -> str:
        """Begin an object in parts; return an upload id. Forgotten after an hour unfinished."""
        ...

    async def add_part(self, project: str, bucket: str, upload: str, content: bytes) -> int:
        """Append a part; return the bytes so far."""
        ...

    async def commit_object(
        self, project: str, bucket: str, upload: str, *, if_revision: int | None = None
    ) -> ObjectInfo:
        """Make what was uploaded the object's present content, all at once."""
        ...

    async def abort_object(self, project: str, bucket: str, upload: str) -> None:
        """Forget an upload; forgetting twice is fine."""
        ...

    async def upload_key(self, project: str, bucket: str, upload: str) -> str:
        """Return the key that an upload is for."""
        ...

    async def head_object(
        self, project: str, bucket: str, key: str, revision: int | None = None
    ) -> ObjectInfo:
        """Return what is known of an object."""
        ...

    async def get_object(
        self,
        project: str,
        bucket: str,
        key: str,
        *,
        revision: int | None = None,
        offset: int = 0,
        length: int | None = None,
    ) -> tuple[ObjectInfo, bytes]:
        """Return an object, or a piece of at most MAX_PART bytes of it."""
        ...

    async def delete_object(
        self, project: str, bucket: str, key: str, *, if_revision: int | None = None
    ) -> None:
        """Delete an object with its revisions; one that is not there is fine without condition."""
        ...

    async def list_objects(
        self,
        project: str,
        bucket: str,
        *,
        prefix: str = "",
        after: str | None = None,
        limit: int = 100,
        delimiter: str | None = None,
    ) -> ObjectPage:
        """Return a page of a bucket's objects."""
        ...

    async def object_revisions(self, project: str, bucket: str, key: str) -> tuple[ObjectInfo, ...]:
        """Return the revisions kept, newest first."""
        ...

    async def put_item(
        self,
        project: str,
        table: str,
        value: dict[str, object],
        *,
        if_revision: int | None = None,
    ) -> Item:
        """Write an item whole; its key attributes say where. Conditions as for objects."""
        ...

    async def get_item(
        self, project: str, table: str, key: str | float, sort: str | float | None = None
    ) -> Item:
        """Return an item; NotFoundError if there is none or its time is over."""
        ...

    async def delete_item(
        self,
        project: str,
        table: str,
        key: str | float,
        sort: str | float | None = None,
        *,
        if_revision: int | None = None,
    ) -> None:
        """Delete an item; one that is not there is fine without a condition."""
        ...

    async def query_items(
        self,
        project: str,
        table: str,
        *,
        key: str | float | None = None,
        index: str | None = None,
        sort: Range | None = None,
        after: str | None = None,
        limit: int = 100,
        descending: bool = False,
    ) -> ItemPage:
        """Return items with a key (in the table or an index) by sort order; key None scans all."""
        ...

    async def send(
        self,
        project: str,
        kind: str,
        name: str,
        body: bytes,
        *,
        delay: float = 0.0,
        deduplication: str | None = None,
    ) -> str:
        """Keep a message in a `queue` or `topic`; return its id.

        The same `deduplication` within an hour returns the first message's id and keeps nothing.
        """
        ...

    async def receive(
        self, project: str, kind: str, name: str, *, limit: int = 1, lease: float = 30.0
    ) -> tuple[Message, ...]:
        """Lease the oldest messages; who does not `acknowledge` in time sees them again."""
        ...

    async def acknowledge(self, project: str, kind: str, name: str, ids: Sequence[str]) -> int:
        """Delete messages that were handled; return how many were there."""
        ...

    async def queue_info(self, project: str, kind: str, name: str) -> QueueInfo:
        """Return how much waits."""
        ...

    async def purge(self, project: str, kind: str, name: str) -> int:
        """Delete every message; return how many."""
        ...

    async def rekey(self, project: str) -> None:
        """Encrypt what is stored with the newest data keys. Calls go on meanwhile."""
        ...

    async def snapshot(self, folder: Path) -> None:
        """Copy the data of all projects into `folder`, each as it is at one moment, for backups.

        Leaves there what a data folder has: databases, and files of objects below `objects/`, all
        encrypted as they are. Calls go on meanwhile.
        """
        ...

    async def close(self) -> None:
        """Write what is queued and release the files. Closing twice is fine."""
        ...


__all__ = [
    "BucketSpec",
    "Item",
    "ItemPage",
    "Message",
    "ObjectInfo",
    "ObjectPage",
    "ProjectData",
    "QueueInfo",
    "QueueSpec",
    "Range",
    "TableSpec",
]
