"""How late the event loop comes to what it has to do: everything waits that long."""

from __future__ import annotations

import asyncio

from casemate.metrics.figures import Timed

LOOK_SECONDS = 0.25


class LoopLag:
    """Has itself called now and then, and notes how late that is."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look at `loop`, from `start` to `close`."""
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self.seen = Timed()

    def start(self) -> None:
        """Begin to look."""
        self._due = self._loop.time() + LOOK_SECONDS
        self._timer = self._loop.call_at(self._due, self._look)

    def _look(self) -> None:
        self.seen.add(max(0.0, self._loop.time() - self._due))
        self.start()

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
