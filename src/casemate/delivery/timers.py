"""When places and functions are to be looked at again: one timer for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from casemate.delivery.leased import Name, Place


class Timers:
    """Those of one gateway. Times are the event loop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start with none."""
        self._loop = loop
        self._timers: dict[Place | Name, tuple[float, asyncio.TimerHandle]] = {}
        """When each goes off; the event loop does not tell of one that is due at once."""

    def set(self, key: Place | Name, when: float, act: Callable[[], None]) -> None:
        """Call `act` at `when`, unless the timer of `key` goes off before; then it stays."""
        known = self._timers.get(key)
        if known is not None:
            if known[0] <= when:
                return
            known[1].cancel()

        def fire() -> None:
            del self._timers[key]
            act()

        self._timers[key] = (when, self._loop.call_at(when, fire))

    def drop(self, key: Place | Name) -> None:
        """Cancel the timer of `key`, if there is one."""
        known = self._timers.pop(key, None)
        if known is not None:
            known[1].cancel()

    def drop_all(self) -> None:
        """Cancel every one."""
        for key in tuple(self._timers):
            self.drop(key)

    def when(self, key: Place | Name) -> float | None:
        """Return when the timer of `key` goes off, None if there is none."""
        known = self._timers.get(key)
        return None if known is None else known[0]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._timers)
