"""When a process of ours looks for garbage, and gives memory back: seldom."""

from __future__ import annotations

import ctypes
import gc

YOUNG_OBJECTS = 10_000
"""So many more than before are looked through for garbage."""
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone


def spare_collections() -> None:
    """Look for garbage in what is made from now on alone, and not often; once all is loaded."""
    # What is loaded lives as long as the process. A collection that went through it all would
    # keep everybody waiting for more than 10 ms.
    gc.collect()
    gc.freeze()
    # What waits to be on record is no garbage: with fewer it would be gone through again and again.
    gc.set_threshold(YOUNG_OBJECTS)
    give_back()


def give_back() -> None:
    """Return to the kernel what was freed in between (malloc_trim(3)); takes up to a millisecond.

    By itself the C library returns the end of its memory alone.
    """
    if _trim is not None:
        _trim(0)
