"""How fast refusals leave: who is told to come back later is not answered faster than it is worth.

A client that asks again as soon as it is refused gets, on each of its connections, as many answers
as the server can give, and takes the time of those that are served. So refusals take turns, and
nothing more is read from a connection before its refusal has left. The few of a peer that is
refused seldom have turns of their own: they do not stand behind those of a flood.
"""

from __future__ import annotations

import asyncio

from casemate.triggers.http_server.peer_rate import PeerRate

TURNS_PER_SECOND = 200.0
"""Refusals a second, over all connections, beyond those at once: about a fiftieth of a core."""
AT_ONCE = 50
"""Refusals that need not wait for a turn when there were none before."""
LONGEST_SECONDS = 2.0
"""No refusal waits longer: with more connections than take turns within it, all wait this long."""
FEW_AT_ONCE, FEW_PER_SECOND = 20, 10.0
"""Refusals of one peer that are few; those of all peers take turns with each other, as above."""
READ_PAST_BYTES = 64 * 1024
"""A body up to this is read and dropped before its refusal leaves: to connect anew, as a client
has to whose body is not read, costs more."""
_EVERY = 1.0 / TURNS_PER_SECOND
_LEAD = AT_ONCE / TURNS_PER_SECOND


class _Turns:
    """Turns for all who come, one after the other (GCRA)."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next = 0.0

    def delay(self, now: float) -> float:
        at = max(self._next, now - _LEAD) + _EVERY
        self._next = min(at, now + LONGEST_SECONDS)
        return max(0.0, self._next - now)


class RefusalPace:
    """The turns of one server's refusals."""

    __slots__ = ("_few", "_many", "_peers")

    def __init__(self) -> None:
        """Start with none given."""
        self._few, self._many = _Turns(), _Turns()
        self._peers = PeerRate(FEW_AT_ONCE, FEW_PER_SECOND)

    async def turn(self, peer: str, now: float) -> None:
        """Wait for the next turn of a peer."""
        seconds = self.delay(peer, now)
        if seconds > 0:
            await asyncio.sleep(seconds)

    def delay(self, peer: str, now: float) -> float:
        """Take the next turn; return the seconds until it comes, 0 or LONGEST_SECONDS at most."""
        turns = self._few if self._peers.take(peer, now) else self._many
        return turns.delay(now)
