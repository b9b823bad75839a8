"""What is free on a volume beside the part of it that is kept for what must not fail."""

from __future__ import annotations

import os
from pathlib import Path

RESERVED_SHARE = 20
"""One part in so many of the volume is kept free of what may fail."""
MAX_RESERVE_BYTES = 2 << 30
"""No volume needs more than so much kept free."""


def beside_reserve(folder: Path) -> int:
    """Return how many bytes are free beside the reserve; below 0 is what is missing of it.

    Raises OSError.
    """
    found = os.statvfs(folder)
    whole = found.f_blocks * found.f_frsize
    reserve = min(whole // RESERVED_SHARE, MAX_RESERVE_BYTES)
    return found.f_bavail * found.f_frsize - reserve
