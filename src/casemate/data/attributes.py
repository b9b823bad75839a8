"""Values of items: which can be keys, and what indexes hold of them.

Keys are text or numbers. They are stored as they are, and SQLite orders them: numbers by value
(integers and doubles exactly), then text by code point.
"""

from __future__ import annotations

import math

from casemate.data.limits import require_text
from casemate.model.data import MAX_KEY_BYTES
from casemate.model.errors import InvalidInputError

Scalar = str | int | float
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


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
