"""Where stored data came from: the text that a runner tells, and what is kept of it.

A label is compact JSON, a list of `[pointer, source, origin]`; `guard/labels.py` writes and
reads it. The host only sees to it that what is kept is one, and gives data from outside its own.
"""

from __future__ import annotations

from typing import Any

import msgspec

from casemate.data.interface import Item, ItemPage, ObjectInfo
from casemate.decoding import DECODING_ERRORS
from casemate.model.errors import InvalidInputError

FROM_API = b'[["","api",""]]'
"""The label of what came in by the control API: all of it is from outside."""
_MAX_BYTES = 16 * 1024
_check = msgspec.json.Decoder(tuple[tuple[str, str, str], ...]).decode


def kept(labels: str | None) -> bytes:
    """Return a label as it is kept; nothing if none was told. InvalidInputError if it is none."""
    if labels is None:
        return b""
    try:
        content = labels.encode()
        if len(content) <= _MAX_BYTES:
            _check(content)
            return content
    except DECODING_ERRORS as error:
        raise InvalidInputError(
            "The labels are malformed, expected a JSON list of [pointer, source, origin]."
        ) from error
    raise InvalidInputError(f"The labels have {len(content)} bytes, expected at most {_MAX_BYTES}.")


class LabelledItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An item as a function gets it."""

    value: dict[str, Any]
    revision: int
    modified_at: float
    labels: str = ""

    @classmethod
    def of(cls, item: Item) -> LabelledItem:
        """Return an item with its label as text."""
        return cls(item.value, item.revision, item.modified_at, item.labels.decode())


class LabelledPage(msgspec.Struct, frozen=True):
    """Items as a function gets them; `after` continues, None at the end."""

    items: tuple[LabelledItem, ...]
    after: str | None

    @classmethod
    def of(cls, page: ItemPage) -> LabelledPage:
        """Return a page of items with their labels as text."""
        return cls(tuple(map(LabelledItem.of, page.items)), page.after)


class LabelledObject(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a function is told of an object that it reads."""

    key: str
    revision: int
    size: int
    content_type: str
    metadata: dict[str, str]
    modified_at: float
    sha256: str
    labels: str = ""

    @classmethod
    def of(cls, info: ObjectInfo) -> LabelledObject:
        """Return what is known of an object with its label as text."""
        return cls(
            info.key,
            info.revision,
            info.size,
            info.content_type,
            info.metadata,
            info.modified_at,
            info.sha256,
            info.labels.decode(),
        )
