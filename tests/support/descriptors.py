"""The descriptors that this process holds, for tests that let none be left."""

from __future__ import annotations

import gc
import os
import time


def descriptors_held() -> int:
    """Return how many there are, after what earlier tests have dropped was closed.

    A socket in a cycle of another test is closed whenever garbage happens to be collected: between
    two counts it would hide a descriptor that was left, or look like one too few.
    """
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def require_none_left(before: int, seconds: float = 1.0) -> None:
    """Fail if there are more than `before` for so long: another thread may have one for a moment.

    Fewer are none of the test's: of an earlier one something ended meanwhile.
    """
    until = time.monotonic() + seconds
    while (held := descriptors_held()) > before and time.monotonic() < until:
        time.sleep(0.01)
    assert held <= before
