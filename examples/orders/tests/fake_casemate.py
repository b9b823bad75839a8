"""A stand-in for what a handler gets of Casemate, kept in memory: import it before a handler."""

from __future__ import annotations

import io
import sys
import time
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import Mock


class NotFoundError(Exception):
    """There is no such thing."""


class ConflictError(Exception):
    """`if_revision` does not hold."""


class DeniedError(Exception):
    """Not granted."""


class Item(NamedTuple):
    """As `context.table` returns it."""

    value: dict[str, Any]
    revision: int
    modified_at: float


class Table:
    """Items by their `id`."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}

    def get(self, key: str) -> Item:
        """Return an item."""
        if key not in self.items:
            raise NotFoundError
        return self.items[key]

    def put(self, value: dict[str, Any], *, if_revision: int | None = None) -> Item:
        """Write an item, if the condition holds."""
        found = self.items.get(value["id"])
        revision = found.revision if found else 0
        if if_revision not in (None, revision):
            raise ConflictError
        self.items[value["id"]] = Item(dict(value), revision + 1, time.time())
        return self.items[value["id"]]

    def query(self, key: str, *, index: str, at_least: float, limit: int) -> list[Item]:
        """Return a customer's items since a time."""
        if index != "by-customer":
            raise NotFoundError
        found = [item for item in self.items.values() if item.value["customer"] == key]
        found = [item for item in found if item.value["placed_at"] >= at_least]
        return sorted(found, key=lambda item: item.value["placed_at"])[:limit]


class Bucket:
    """Objects by key: content and metadata."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, dict[str, str]]] = {}

    def put(
        self,
        key: str,
        content: bytes | str,
        *,
        content_type: str = "",
        metadata: dict[str, str] | None = None,
    ) -> None:
        """Write an object below a prefix that the manifest grants."""
        if not key.startswith(("receipts/", "labels/", "pallets/", "complaints/")):
            raise DeniedError(key)
        self.objects[key] = (content, metadata or {})

    def open(self, key: str) -> io.BytesIO:
        """Return a file with an `info`."""
        if key not in self.objects:
            raise NotFoundError
        content, metadata = self.objects[key]
        file = _File(content)
        file.info = SimpleNamespace(metadata=metadata)
        return file


class _File(io.BytesIO):
    info: SimpleNamespace


class Context:
    """What all functions of the project share in a test, and whom they invoke."""

    def __init__(self, **functions: Any) -> None:
        self.functions = functions
        self.secrets: dict[str, str] = {}
        self.orders, self.documents = Table(), Bucket()
        self.sent: dict[str, Any] = {}
        self.published: dict[str, dict[str, Any]] = {"placed": {}, "packed": {}}
        self.log = Mock()

    def table(self, name: str) -> Table:
        """Return the one table."""
        return {"orders": self.orders}[name]

    def bucket(self, name: str) -> Bucket:
        """Return the one bucket."""
        return {"documents": self.documents}[name]

    def queue(self, name: str) -> Any:
        """Return the queue; a message with a known `deduplication` is dropped."""
        kept = {"to-ship": self.sent}[name]
        return SimpleNamespace(send=lambda m, *, deduplication: kept.setdefault(deduplication, m))

    def topic(self, name: str) -> Any:
        """Return a topic, likewise."""
        kept = self.published[name]
        return SimpleNamespace(
            publish=lambda m, *, deduplication: kept.setdefault(deduplication, m)
        )

    def secret(self, name: str) -> str:
        """Return a secret that the test has set."""
        if name not in self.secrets:
            raise NotFoundError
        return self.secrets[name]

    def invoke(self, function: str, event: Any, *, allow: list[str]) -> Any:
        """Call another handler of the project, which may use nothing."""
        if allow:
            raise DeniedError(function)
        return self.functions[function](event, SimpleNamespace(log=Mock()))


module = ModuleType("casemate")
for public in (ConflictError, Context, Item, NotFoundError):
    setattr(module, public.__name__, public)
sys.modules["casemate"] = module
