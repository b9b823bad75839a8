"""What questions in SQL share: their conditions, and how much may be asked for."""

from __future__ import annotations

from collections.abc import Iterable

from casemate.model.errors import InvalidInputError

MAX_LIMIT = 100_000
"""Most rows one question is answered with."""


def conditions(
    filters: Iterable[tuple[str, str | int | None]],
) -> tuple[str, tuple[str | int | float, ...]]:
    """Build a WHERE clause; only the first, most selective filter may choose the index."""
    given = [(column, value) for column, value in filters if value is not None]
    if not given:
        return "", ()
    terms = [f"{'+' if i else ''}{column} = ?" for i, (column, _) in enumerate(given)]
    return f"WHERE {' AND '.join(terms)}", tuple(value for _, value in given)


def require_limit(limit: int) -> None:
    """Raise InvalidInputError unless so many rows may be asked for."""
    require_range("limit", limit, MAX_LIMIT)


def require_range(what: str, value: int, highest: int) -> None:
    """Raise InvalidInputError unless `value` is a whole number from 0 to `highest`."""
    if type(value) is not int or not 0 <= value <= highest:
        raise InvalidInputError(f"{what} is {value!r}; expected a number from 0 to {highest}.")
