"""The handles through which a handler uses what it is granted; `PUBLIC` are those it can name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from .channel import (
    CapabilityError,
    Channel,
    ConflictError,
    DeniedError,
    InvalidError,
    InvocationError,
    LimitError,
    NotFoundError,
    UnavailableError,
    decode,
    encode,
)
from .objects import Bucket, ObjectInfo

_PAGE = 500
_MOST_ATTRIBUTES, _ATTRIBUTE_NAME, _ATTRIBUTE_BYTES = 10, 256, 4096
"""Of one message. Beyond it the host would take the request for a hostile one."""


class Item(NamedTuple):
    """A table's item: its attributes, and the revision that `if_revision` compares with."""

    value: dict[str, Any]
    revision: int
    modified_at: float


def _item(fields: dict[str, Any]) -> Item:
    return Item(fields["value"], fields["revision"], fields["modified_at"])


class Table:
    """A table of the function's project."""

    def __init__(self, channel: Channel, name: str) -> None:
        """Made by `context.table`."""
        self._channel = channel
        self.name = name

    def _call(self, operation: str, body: bytes = b"", **arguments: object) -> dict[str, Any]:
        """Return what is told; items come as a body, since a head has to be short."""
        fields, content, _ = self._channel.call(
            f"table.{operation}", body, table=self.name, **arguments
        )
        told: dict[str, Any] = decode(content.decode()) if content else fields
        return told

    def get(self, key: str | float, sort: str | float | None = None) -> Item:
        """Return an item (NotFoundError if there is none)."""
        return self._read(self._call("get", key=key, sort=sort))

    def _read(self, fields: dict[str, Any]) -> Item:
        item = _item(fields)
        self._channel.came(f"table:{self.name}", item.value, fields.get("labels"))
        return item

    def put(self, value: dict[str, Any], *, if_revision: int | None = None) -> Item:
        """Write an item whole. `if_revision=0`: only if there is none; n: only if present."""
        try:
            body = encode(value).encode()
        except (TypeError, ValueError) as error:
            raise InvalidError(f"the item is not JSON: {error}") from error
        labels = self._channel.labels_of(value)
        fields = self._call("put", body, if_revision=if_revision, labels=labels)
        return Item(value, fields["revision"], fields["modified_at"])

    def delete(
        self,
        key: str | float,
        sort: str | float | None = None,
        *,
        if_revision: int | None = None,
    ) -> None:
        """Delete an item; one that is not there is fine without a condition."""
        self._call("delete", key=key, sort=sort, if_revision=if_revision)

    def query(
        self,
        key: str | float | None = None,
        *,
        index: str | None = None,
        equals: str | float | None = None,
        begins_with: str | None = None,
        at_least: str | float | None = None,
        less_than: str | float | None = None,
        descending: bool = False,
        limit: int | None = None,
    ) -> Iterator[Item]:
        """Yield the items with a key, by the sort attribute; without a key, all of the table.

        An iterator, which fetches as it is gone through: `list(...)` has a length and an index.
        """
        conditions = {
            "equals": equals,
            "begins_with": begins_with,
            "at_least": at_least,
            "less_than": less_than,
        }
        sort = {name: value for name, value in conditions.items() if value is not None}
        after: str | None = None
        left = limit
        while left is None or left > 0:
            fields = self._call(
                "query",
                key=key,
                index=index,
                sort=sort or None,
                after=after,
                descending=descending,
                limit=_PAGE if left is None else min(left, _PAGE),
            )
            yield from map(self._read, fields["items"])
            if left is not None:
                left -= len(fields["items"])
            after = fields.get("after")
            if after is None:
                return


def _texts(attributes: object) -> object:
    """Return a message's attributes if they can be sent; None for none. The host has the limits."""
    if not attributes:
        return None
    if not isinstance(attributes, dict) or len(attributes) > _MOST_ATTRIBUTES:
        raise InvalidError(f"the attributes are no dict of at most {_MOST_ATTRIBUTES} names")
    for name, value in attributes.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise InvalidError(f"the attribute {name!r} is not a text by its name")
        if len(name) + len(value) > _ATTRIBUTE_BYTES or len(name) > _ATTRIBUTE_NAME:
            raise InvalidError(f"the attribute {name[:_ATTRIBUTE_NAME]!r} is too long")
    return attributes


class Queue:
    """A queue of the function's project."""

    def __init__(self, channel: Channel, name: str) -> None:
        """Made by `context.queue`."""
        self._channel = channel
        self.name = name

    def send(
        self,
        message: object,
        *,
        delay: float = 0.0,
        deduplication: str | None = None,
        key: str = "",
        priority: int = 0,
        attributes: dict[str, str] | None = None,
    ) -> str:
        """Keep a message (JSON) and return its id; it is durable then.

        `delay` is seconds. The same `deduplication` text within an hour keeps the first only.
        Messages with the same `key` are handed out one after the other, in order; of those that
        are ready, a higher `priority` (-100 to 100) goes first. `attributes` are texts by name
        beside the message, at most 10 and 4 KiB: `event.detail["attributes"]` of who handles it.
        """
        try:
            body = encode(message).encode()
        except (TypeError, ValueError) as error:
            raise InvalidError(f"the message is not JSON: {error}") from error
        fields, _, _ = self._channel.call(
            "queue.send",
            body,
            queue=self.name,
            delay=delay,
            deduplication=deduplication,
            key=key,
            priority=priority,
            labels=self._channel.labels_of(message),
            attributes=_texts(attributes),
        )
        identity: str = fields["id"]
        return identity


class Topic:
    """A topic of the function's project."""

    def __init__(self, channel: Channel, name: str) -> None:
        """Made by `context.topic`."""
        self._channel = channel
        self.name = name

    def publish(
        self,
        message: object,
        *,
        deduplication: str | None = None,
        attributes: dict[str, str] | None = None,
    ) -> str:
        """Keep a message (JSON) for everyone who subscribes, and return its id.

        `attributes` as of `Queue.send`.
        """
        try:
            body = encode(message).encode()
        except (TypeError, ValueError) as error:
            raise InvalidError(f"the message is not JSON: {error}") from error
        fields, _, _ = self._channel.call(
            "topic.publish",
            body,
            topic=self.name,
            deduplication=deduplication,
            labels=self._channel.labels_of(message),
            attributes=_texts(attributes),
        )
        identity: str = fields["id"]
        return identity


_WHY = {
    403: "no grant of this function, or policy, lets it call that one",
    404: "there is no such function",
    413: "the event is larger than that function takes",
    429: "that function has as many calls as it takes at once",
    503: "the node has no room for it at the moment",
    504: "that function did not answer in time",
}


def read_secret(channel: Channel, name: str, version: int | None) -> bytes:
    """Return a secret's value. It comes by a pipe from the vault, past the rest of the host."""
    _fields, _, descriptor = channel.call("secret.get", name=name, version=version)
    if descriptor is None:
        raise UnavailableError("the value did not come")
    with os.fdopen(descriptor, "rb") as pipe:
        return pipe.read()


def invoke(
    channel: Channel, function: str, event: object, allow: list[str] | None, wait: bool = True
) -> Any:
    """Invoke another function of the project; return its result, or the id of what is kept."""
    try:
        body = encode(event).encode()
    except (TypeError, ValueError) as error:
        raise InvalidError(f"the event is not JSON: {error}") from error
    fields, content, _ = channel.call(
        "function.invoke", body, function=function, allow=allow, wait=wait
    )
    status: int = fields["status"]
    if not 200 <= status < 300:
        error_id = fields.get("error_id")
        why = _WHY.get(status, "its owner finds the reason by the error id")
        told = f"{function} answered with status {status}: {why}"
        raise InvocationError(told, status, error_id)
    if fields["type"] == "application/json":
        result = decode(content.decode())
        return result if wait else result["id"]
    return content


PUBLIC: tuple[type, ...] = (
    Bucket,
    CapabilityError,
    ConflictError,
    DeniedError,
    InvalidError,
    InvocationError,
    Item,
    LimitError,
    NotFoundError,
    ObjectInfo,
    Queue,
    Table,
    Topic,
    UnavailableError,
)
"""What a handler can import from `casemate`, beside `Context`."""
