"""Turns of the event loop that all sources share, for readers of what servers send without end.

What has come already is read without waiting, so that a server that sends faster than it is read
would keep every other source from its turn.
"""

from __future__ import annotations

import asyncio
import time

_TURN_SECONDS = 0.005


class Turns:
    """One reader's turns."""

    def __init__(self) -> None:
        """Begin with a turn."""
        self._until = time.monotonic() + _TURN_SECONDS

    async def give(self) -> None:
        """Let all others have theirs, if this one has lasted its time. To be called often."""
        if time.monotonic() > self._until:
            await asyncio.sleep(0)
            self._until = time.monotonic() + _TURN_SECONDS
