"""Passwords that are compared as they are, in whatever language: what is sent with what is stored."""

from __future__ import annotations

from collections.abc import Sequence, Set

KEPT = "a password is stored unhashed, and compared as it is"
_PASSWORDS = ("password", "passwd", "pwd")
_SENT = frozenset(
    (
        *("event", "evt", "req", "request", "body", "self", "form", "params", "payload", "config"),
        *("settings", "env", "credentials", "args", "options", "input"),
    )
)
"""What is sent, filled in or set; what is anything else has been read from somewhere."""


def are_compared(
    one: Sequence[str] | None, other: Sequence[str] | None, sent: Set[str] = frozenset()
) -> bool:
    """Tell whether two things that are compared are a password and one that was read.

    Each is the names of a thing, the first one first: `row`, `password`; None for no such thing.
    `sent` is what else is sent or set, by the customs of a language.
    """
    sides = [_read_from(each) for each in (one, other)]
    read = (each for each in sides if each and each.lower() not in _SENT | sent)
    return None not in sides and sides[0] != sides[1] and any(read)


def _read_from(parts: Sequence[str] | None) -> str | None:
    """Return what a password is read from: empty for a name alone, None for no password."""
    if not parts:
        return None
    if len(parts) > 1 and parts[-1] == "S":  # as DynamoDB has texts
        parts = parts[:-1]
    if parts[-1].lower() not in _PASSWORDS:
        return None
    return parts[0] if len(parts) > 1 else ""
