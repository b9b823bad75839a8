"""Items as JSON: what may be in one, and which values can be keys.

Keys are text or numbers. They are stored as they are, and SQLite orders them: numbers by value
(integers and doubles exactly), then text by code point.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from casemate.data.errors import TooLargeError
from casemate.data.limits import MAX_DEPTH, MAX_ITEM_BYTES, require_text
from casemate.model.data import MAX_KEY_BYTES
from casemate.model.errors import InvalidInputError

Scalar = str | int | float
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_CHECK_INLINE_BYTES = 16 * 1024


def require_key(what: str, value: object) -> Scalar:
    """Return `value` if it can be a key: a finite number, or text of at most 1024 bytes.

    Raises InvalidInputError, which does not show the value.
    """
    if type(value) is str:
        return require_text(what, value, most=MAX_KEY_BYTES)
    if is_number(value):
        return value  # type: ignore[return-value]
    raise InvalidInputError(f"The {what} is not text or a number of 64 bits.")


def is_number(value: object) -> bool:
    """Tell whether `value` is a number that is kept exactly; truth values are none."""
    if type(value) is int:
        return _LOWEST <= value <= _HIGHEST
    return type(value) is float and math.isfinite(value)


def indexed(value: object) -> Scalar | None:
    """Return an attribute's value as an index's key; None if the item is not to be in the index.

    Raises InvalidInputError for text that is too long for a key.
    """
    if type(value) is str:
        return require_text("attribute that an index is over", value, most=MAX_KEY_BYTES)
    return value if is_number(value) else None  # type: ignore[return-value]


def encode_item(value: object) -> bytes:
    """Return an item as JSON. Raises InvalidInputError if it is none, TooLargeError if it is huge.

    Cheap for what it refuses by size; `require_item` has the checks that take time.
    """
    if type(value) is not dict:
        raise InvalidInputError(f"The item is a {type(value).__name__}, expected a JSON object.")
    try:
        encoded = msgspec.json.encode(value)
    except (TypeError, ValueError, UnicodeEncodeError, RecursionError, OverflowError) as error:
        raise InvalidInputError(
            f"The item is not a JSON object ({type(error).__name__}).",
            next_step="Use text, finite numbers, true, false, null, lists and objects only.",
        ) from error
    if len(encoded) > MAX_ITEM_BYTES:
        raise TooLargeError(
            f"The item has {len(encoded)} bytes as JSON; no table takes more than {MAX_ITEM_BYTES}."
        )
    return encoded


def quick_to_check(encoded: bytes) -> bool:
    """Tell whether an item is small enough to be examined on the event loop."""
    return len(encoded) <= _CHECK_INLINE_BYTES


def require_item(value: dict[str, Any]) -> None:
    """Refuse what JSON cannot hold exactly, and what is nested too deeply."""
    pending: list[tuple[object, int]] = [(value, 1)]
    while pending:
        part, depth = pending.pop()
        kind = type(part)
        if kind is str or kind is bool or part is None:
            continue
        if kind is int or kind is float:
            if not is_number(part):
                raise InvalidInputError(
                    "The item holds a number that is not finite or beyond 64 bits.",
                    next_step="Store such numbers as text.",
                )
            continue
        if depth > MAX_DEPTH:
            raise InvalidInputError(f"The item is nested deeper than {MAX_DEPTH} levels.")
        if kind is dict:
            _require_names(part)  # type: ignore[arg-type]
            pending += [(inner, depth + 1) for inner in part.values()]  # type: ignore[attr-defined]
        elif kind is list or kind is tuple:
            pending += [(inner, depth + 1) for inner in part]  # type: ignore[attr-defined]
        else:
            raise InvalidInputError(f"The item holds a {kind.__name__}, which JSON has not.")


def _require_names(part: dict[object, object]) -> None:
    for name in part:
        if type(name) is not str:
            raise InvalidInputError(
                f"The item has an attribute whose name is a {type(name).__name__}, expected text."
            )
