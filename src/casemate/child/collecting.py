"""When a process of ours looks for garbage, and gives memory back: seldom."""

from __future__ import annotations

import ctypes
import gc

YOUNG_OBJECTS = 10_000
"""So many more than before are looked through for garbage."""
LOADED_OBJECTS = 1_000_000
"""While modules are loaded: more than ten times what the largest process loads."""
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone


def collect_later() -> None:
    """Look for no garbage while modules are loaded, until one of the others here is called.

    What they are made of is none, and to look through it again and again takes a tenth of a start.
    """
    gc.set_threshold(LOADED_OBJECTS)


def keep_loaded() -> None:
    """Look for garbage in what is made from now on alone, and not often; once all is loaded."""
    # What is loaded lives as long as the process. A collection that went through it all would
    # keep everybody waiting for more than 10 ms.
    gc.freeze()
    # What waits to be on record is no garbage: with fewer it would be gone through again and again.
    gc.set_threshold(YOUNG_OBJECTS)


def spare_collections() -> None:
    """Likewise, and give back what the start left; once all is there that stays."""
    gc.collect()
    keep_loaded()
    give_back()


def give_back() -> None:
    """Return to the kernel what was freed in between (malloc_trim(3)); takes up to a millisecond.

    By itself the C library returns the end of its memory alone.
    """
    if _trim is not None:
        _trim(0)
