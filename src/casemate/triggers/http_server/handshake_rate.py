"""How fast one peer may have the server do TLS handshakes."""

from __future__ import annotations

import asyncio

from casemate.triggers.http_server.peers import peer_group

BURST = 100
"""Handshakes that a peer gets at once."""
PER_SECOND = 100.0
"""Handshakes a second that a peer gets after that. More wait, and are cut if they wait too long:
about a tenth of a core for each peer at 1 ms a handshake."""
_MOST_PEERS = 10_000
_EVERY = 1.0 / PER_SECOND
_LEAD = BURST / PER_SECOND


class HandshakeRate:
    """One schedule for each peer (GCRA): a handshake's turn comes `_EVERY` after the last one's.

    A client keeps its connection for many requests, so an honest one hardly notices.
    """

    def __init__(self) -> None:
        """Start with nobody known."""
        self._next: dict[str, float] = {}

    async def turn(self, peer: str) -> None:
        """Wait for the peer's turn."""
        loop = asyncio.get_running_loop()
        seconds = self.delay(peer, loop.time())
        if seconds > 0:
            await asyncio.sleep(seconds)

    def delay(self, peer: str, now: float) -> float:
        """Return how long a handshake that is asked for now has to wait, and count it."""
        group = peer_group(peer)
        at = max(self._next.get(group, 0.0), now - _LEAD) + _EVERY
        if group not in self._next and len(self._next) >= _MOST_PEERS:
            self._forget(now)
        self._next[group] = at
        return max(0.0, at - now)

    def _forget(self, now: float) -> None:
        """Forget peers that have their whole burst again, or all if that is too few."""
        self._next = {group: at for group, at in self._next.items() if at > now - _LEAD}
        if len(self._next) >= _MOST_PEERS:
            self._next.clear()
