"""When a process of ours looks for garbage: seldom, and not in what it has loaded."""

from __future__ import annotations

import gc

YOUNG_OBJECTS = 10_000
"""So many more than before are looked through for garbage."""


def spare_collections() -> None:
    """Look for garbage in what is made from now on alone, and not often; once all is loaded."""
    # What is loaded lives as long as the process. A collection that went through it all would
    # keep everybody waiting for more than 10 ms.
    gc.collect()
    gc.freeze()
    # What waits to be on record is no garbage: with fewer it would be gone through again and again.
    gc.set_threshold(YOUNG_OBJECTS)
