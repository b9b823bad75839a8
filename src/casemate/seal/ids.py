"""The ids of invocations."""

from __future__ import annotations

import os
import secrets
import time

_DIGITS = 12
_AT_ONCE = 256
_random: list[str] = []
"""Random parts of ids to come, each given out once: asking the kernel for many costs less."""
os.register_at_fork(after_in_child=_random.clear)


def new_invocation_id() -> str:
    """Return an id: the time in milliseconds, then 48 random bits, as in UUIDv7 (RFC 9562).

    Ids that follow each other are stored side by side: with random ones every record would change
    a page of its own in the index of the encrypted store.
    """
    try:
        bits = _random.pop()
    except IndexError:
        bits = _more()
    return f"inv_{time.time_ns() // 1_000_000:012x}{bits}"


def _more() -> str:
    """Return a random part, and keep others."""
    text = secrets.token_hex(_DIGITS // 2 * _AT_ONCE)
    _random.extend(text[at : at + _DIGITS] for at in range(_DIGITS, len(text), _DIGITS))
    return text[:_DIGITS]
