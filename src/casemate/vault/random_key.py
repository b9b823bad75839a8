"""The one size of a key, and keys that nobody could guess."""

from __future__ import annotations

import os

KEY_BYTES = 32


def new_key() -> bytes:
    """Return 32 bytes from the kernel's generator (getrandom(2))."""
    return os.urandom(KEY_BYTES)
