"""What one turn of the event loop has ready, sent together at its end.

To send wakes who waits for it. On the same machine that one takes the processor at once, and with
it what the caches hold; the rest of the turn goes on in cold ones. Sent at the end of the turn, all
that it has ready costs that once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

MOST: Final = 32
"""What waits at the most: then all of it is sent, for a turn can be long."""
_log = logging.getLogger(__name__)


class TurnEnd:
    """What waits for the end of the turn. On one event loop only."""

    __slots__ = ("_is_due", "_waiting")

    def __init__(self) -> None:
        """Start with nothing."""
        self._waiting: list[Callable[[], None]] = []
        self._is_due = False

    def put(self, send: Callable[[], None]) -> None:
        """Have `send` called at the end of this turn, after all that was put before it."""
        self._waiting.append(send)
        if len(self._waiting) >= MOST:
            self._send()
        elif not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        self._is_due = False
        self._send()

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        for send in waiting:
            try:
                send()
            except Exception:  # noqa: BLE001 - one that fails keeps nothing from the others
                _log.exception("what was ready at the end of a turn was not sent")
