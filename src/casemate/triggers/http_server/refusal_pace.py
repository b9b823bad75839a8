"""How fast refusals leave: who is told to come back later is not answered faster than it is worth.

A client that asks again as soon as it is refused gets, on each of its connections, as many answers
as the server can give, and takes the time of those that are served. So refusals take turns, and
nothing more is read from a connection before its refusal has left.
"""

from __future__ import annotations

import asyncio

TURNS_PER_SECOND = 200.0
"""Refusals a second, over all connections, beyond those at once: about a fiftieth of a core."""
AT_ONCE = 50
"""Refusals that need not wait for a turn when there were none before."""
LONGEST_SECONDS = 2.0
"""No refusal waits longer: with more connections than take turns within it, all wait this long."""
READ_PAST_BYTES = 64 * 1024
"""A body up to this is read and dropped before its refusal leaves: to connect anew, as a client
has to whose body is not read, costs more."""
_EVERY = 1.0 / TURNS_PER_SECOND
_LEAD = AT_ONCE / TURNS_PER_SECOND


class RefusalPace:
    """The turns of one server's refusals (GCRA)."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        """Start with none given."""
        self._next = 0.0

    async def turn(self, now: float) -> None:
        """Wait for the next turn."""
        seconds = self.delay(now)
        if seconds > 0:
            await asyncio.sleep(seconds)

    def delay(self, now: float) -> float:
        """Take the next turn; return the seconds until it comes, 0 or LONGEST_SECONDS at most."""
        at = max(self._next, now - _LEAD) + _EVERY
        self._next = min(at, now + LONGEST_SECONDS)
        return max(0.0, self._next - now)
