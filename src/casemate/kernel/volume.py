"""What is free on a volume beside the part of it that is kept for what must not fail."""

from __future__ import annotations

import os
from pathlib import Path

RESERVED_SHARE = 20
"""One part in so many of the volume is kept free of what may fail."""
LEAST_RESERVE_BYTES = 64 << 20
"""Logs of databases take some MiB each, however small the volume is."""
MOST_SHARE = 4
"""Of a volume for which that is much, one part in so many is kept free."""
MAX_RESERVE_BYTES = 2 << 30
"""No volume needs more than so much kept free."""


def reserve_of(whole: int) -> int:
    """Return how many bytes are kept free of a volume that has so many."""
    least = min(LEAST_RESERVE_BYTES, whole // MOST_SHARE)
    return min(max(whole // RESERVED_SHARE, least), MAX_RESERVE_BYTES)


def beside_reserve(folder: Path) -> int:
    """Return how many bytes are free beside the reserve; below 0 is what is missing of it.

    Raises OSError.
    """
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize - reserve_of(found.f_blocks * found.f_frsize)


def whole(folder: Path) -> int:
    """Return how many bytes the volume of a folder has. Raises OSError."""
    found = os.statvfs(folder)
    return found.f_blocks * found.f_frsize
