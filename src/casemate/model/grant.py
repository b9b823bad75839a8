"""What a function is granted: the one form in which manifest, policy, broker and records speak.

A function starts with none. A grant names one resource and the actions on it; what no grant
covers is denied.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec


class GrantKind(StrEnum):
    """Kinds of resources that can be granted. The order is that of listings."""

    BUCKET = "bucket"
    TABLE = "table"
    QUEUE = "queue"
    TOPIC = "topic"
    SECRET = "secret"  # noqa: S105
    EGRESS = "egress"
    FUNCTION = "function"


ACTIONS: dict[GrantKind, tuple[str, ...]] = {
    GrantKind.BUCKET: ("read", "write", "list", "delete"),
    GrantKind.TABLE: ("get", "put", "query", "delete"),
    GrantKind.QUEUE: ("send",),
    GrantKind.TOPIC: ("publish",),
    GrantKind.SECRET: ("read",),
    GrantKind.EGRESS: ("connect",),
    GrantKind.FUNCTION: ("invoke",),
}
"""Every action that exists, by kind; a kind with one action does not ask for it in a manifest."""

RESOURCE_PATTERN = r"^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$"
"""Names of buckets, tables, queues, topics and secrets."""


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """One resource and the actions on it."""

    kind: GrantKind
    name: str
    """The resource's name; of egress `host:port` (lower case, IPv6 in brackets; the host may
    start with `*.`); of a function its name. All are resources of the function's own project."""
    actions: tuple[str, ...]
    """In the order of ACTIONS, without repetition, at least one. What a trigger lets a function see
    is told in the same form, by `receive`, `subscribe` and `watch`; these cannot be granted."""
    prefixes: tuple[str, ...] = ()
    """Buckets only: keys must start with one of these; empty means every key."""
    forward: int | None = None
    """Egress only: a local port that leads there by plain TCP, for clients that know no proxy."""
    private: bool = False
    """Egress only: the host may have a private, loopback or link-local address."""
    exception: str = ""
    """Why a wildcard or a private address is accepted; required for these, recorded on deploy."""

    @property
    def text(self) -> str:
        """The grant's resource as one line, the same for the same resource: `bucket uploads`."""
        return f"{self.kind.value} {self.name}"


class TableIndex(msgspec.Struct, frozen=True, kw_only=True):
    """A secondary index: items by the values of one or two attributes."""

    name: str
    key: str
    sort: str | None = None


class BucketSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket. Sizes are bytes."""

    name: str
    max_object: int = 1 << 30
    max_total: int = 10 << 30
    versions: int = 1
    """Revisions kept of each object, the present one included."""


class TableSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A table of JSON items, found by a key attribute and an optional sort attribute."""

    name: str
    key: str
    sort: str | None = None
    indexes: tuple[TableIndex, ...] = ()
    ttl: str | None = None
    """Attribute that holds the Unix time in seconds after which an item is gone."""
    max_item: int = 400 * 1024


class QueueSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A queue or a topic."""

    name: str
    max_message: int = 256 * 1024
    retention: float = 14 * 86400.0
    """Seconds until an unread message is dropped."""


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """What a manifest declares beside functions; made, or checked to agree, at deploy."""

    buckets: tuple[BucketSpec, ...] = ()
    tables: tuple[TableSpec, ...] = ()
    queues: tuple[QueueSpec, ...] = ()
    topics: tuple[QueueSpec, ...] = ()

    def names(self) -> dict[GrantKind, tuple[str, ...]]:
        """Return what there is of each kind that a manifest declares."""
        return {
            GrantKind.BUCKET: tuple(bucket.name for bucket in self.buckets),
            GrantKind.TABLE: tuple(table.name for table in self.tables),
            GrantKind.QUEUE: tuple(queue.name for queue in self.queues),
            GrantKind.TOPIC: tuple(topic.name for topic in self.topics),
        }

    def granted(self, grants: Iterable[Grant]) -> Resources:
        """Return those of these resources that `grants` name, in their order."""
        named = {(grant.kind, grant.name) for grant in grants}
        return Resources(
            buckets=tuple(b for b in self.buckets if (GrantKind.BUCKET, b.name) in named),
            tables=tuple(t for t in self.tables if (GrantKind.TABLE, t.name) in named),
            queues=tuple(q for q in self.queues if (GrantKind.QUEUE, q.name) in named),
            topics=tuple(t for t in self.topics if (GrantKind.TOPIC, t.name) in named),
        )
