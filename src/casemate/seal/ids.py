"""The ids of invocations."""

from __future__ import annotations

import secrets
import time


def new_invocation_id() -> str:
    """Return an id: the time in milliseconds, then 48 random bits, as in UUIDv7 (RFC 9562).

    Ids that follow each other are stored side by side: with random ones every record would change
    a page of its own in the index of the encrypted store.
    """
    return f"inv_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(6)}"
