"""Large bodies are handled one after the other, with time for everybody else in between.

What is done with a body before its call is handed on takes the event loop's time in proportion to
its size. Many that are complete at the same moment would hold all others up for all of it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

LARGE_BYTES = 256 * 1024
"""Bodies beyond this take turns: what is done with a smaller one takes a few milliseconds."""
LONGEST_PAUSE_SECONDS = 0.25
"""After a body the loop is left to others for as long as it took, but for no longer than this."""


class LargeBodies:
    """The turns of one server."""

    __slots__ = ("_loop", "_taken", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start with the turn free."""
        self._loop = loop
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._taken = False

    async def turn(self) -> None:
        """Wait for the turn. It lasts until whoever has it waits for something else."""
        if self._taken:
            waiter = self._loop.create_future()
            self._waiting.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._next()
                raise
        self._taken = True
        self._loop.call_soon(self._over, time.monotonic())

    def _over(self, began: float) -> None:
        spent = time.monotonic() - began
        self._loop.call_later(min(spent, LONGEST_PAUSE_SECONDS), self._next)

    def _next(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._taken = False
