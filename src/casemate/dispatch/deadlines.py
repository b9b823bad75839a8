"""The deadlines of many at once, looked at together: one timer, however many there are.

A timer for each would be made and taken back for every call, and hardly one meets its deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable

LEAST_PAUSE_SECONDS = 0.002
"""Between two looks: deadlines that follow each other closely are met together."""


class Deadlines:
    """Calls what is given when its time has come, unless it was dropped. On one event loop only."""

    __slots__ = ("_at", "_by_key", "_timer")

    def __init__(self) -> None:
        """Start with none."""
        self._by_key: dict[Hashable, tuple[float, Callable[[], None]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._at = 0.0
        """When the timer is set to."""

    def put(self, key: Hashable, at: float, call: Callable[[], None]) -> None:
        """Have `call` called at loop time `at`, in place of what was put for the same key."""
        self._by_key[key] = at, call
        if self._timer is None or at < self._at:
            self._set(asyncio.get_running_loop(), at)

    def drop(self, key: Hashable) -> None:
        """Forget a key; the timer stays, for others are most likely to come."""
        self._by_key.pop(key, None)

    def clear(self) -> None:
        """Forget all."""
        self._by_key.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._by_key)

    def _set(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._at = at
        self._timer = loop.call_at(at, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        due = [(key, found) for key, found in self._by_key.items() if found[0] <= now]
        for key, found in due:
            # One may be dropped, or put anew, by what another one's end has led to.
            if self._by_key.get(key) is found:
                del self._by_key[key]
                found[1]()
        if self._by_key:
            first = min(at for at, _ in self._by_key.values())
            if self._timer is None or first < self._at:
                self._set(loop, max(first, now + LEAST_PAUSE_SECONDS))
