"""What the port of projects' data takes and returns about objects and items."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

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
    labels: bytes = b""


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
    labels: bytes = b""


class ItemPage(msgspec.Struct, frozen=True, kw_only=True):
    """Items in order; `after` continues, None at the end."""

    items: tuple[Item, ...]
    after: str | None = None


class Range(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A condition on the sort attribute; all that are given hold. Text sorts by code point."""

    equals: Annotated[str | int | float, Meta(description="Sort value.")] | None = None
    begins_with: Annotated[str, Meta(description="What the sort value starts with.")] | None = None
    at_least: Annotated[str | int | float, Meta(description="Lowest sort value.")] | None = None
    less_than: (
        Annotated[str | int | float, Meta(description="Sort value to stop before.")] | None
    ) = None
