"""Turns for work that holds the event loop in proportion to what came: one has it at a time.

Many that come together would hold all others up for all of it, also where each is done in pieces.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

LONGEST_PAUSE_SECONDS: Final = 0.25


class LoopTurns:
    """The turns of one kind of work, on one event loop."""

    def __init__(self) -> None:
        """Nobody has the turn."""
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Take the turn, first come, first served.

        What it yields is awaited after each piece of the work, and leaves the loop to others for as
        long as the piece took.
        """
        async with self._lock:
            began = time.monotonic()

            async def others() -> None:
                nonlocal began
                await asyncio.sleep(min(time.monotonic() - began, LONGEST_PAUSE_SECONDS))
                began = time.monotonic()

            yield others
