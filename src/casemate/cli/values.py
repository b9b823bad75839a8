"""Values of keys as people give them on the command line."""

from __future__ import annotations

import json

from casemate.cli.errors import UsageError


def value_of(text: str) -> str | int | float:
    """Return a key as it is given: a JSON number or string, and anything else as text."""
    value: str | int | float = text
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, str | int | float) and not isinstance(found, bool):
        value = found
    if isinstance(value, str):
        require_text("A key", value)
    return value


def require_text(what: str, text: str) -> str:
    """Return what is text; raise UsageError for other bytes, which the shell hands on as well."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{what} is not valid text in UTF-8.", next_step="Run the command in a UTF-8 locale."
        ) from error
    return text


def _refuse_constant(name: str) -> float:
    raise ValueError(name)
