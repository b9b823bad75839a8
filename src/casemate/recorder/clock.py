"""Notices that the machine's clock was set: times of what happens are not what they seem then."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from casemate.model.facts import ClockStepped, Fact

LOOK_SECONDS = 1.0
LEAST_SECONDS = 30.0
"""What a clock that is kept right is never set by while a node runs."""
_log = logging.getLogger("casemate.recorder")


class Clock:
    """Compares the clock that people see with one that nobody sets and that goes on in a sleep."""

    def __init__(self) -> None:
        """Begin with how they are now."""
        self._off = _off()

    def step(self) -> float:
        """Return by how many seconds it was set since it was asked last; 0: by no more than little.

        What it was set by in small steps counts together: they are compared with the last that
        was told.
        """
        off = _off()
        step = off - self._off
        if abs(step) < LEAST_SECONDS:
            return 0.0
        self._off = off
        return step


async def watch(tell: Callable[[Fact], None]) -> None:
    """Tell whenever it was set."""
    clock = Clock()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if step := clock.step():
            _log.warning("the clock was set by %+.0f s", step)
            tell(ClockStepped(at=time.time(), seconds=step))


def _off() -> float:
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
