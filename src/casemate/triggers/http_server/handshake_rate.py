"""How fast one peer may have the server do TLS handshakes."""

from __future__ import annotations

import asyncio

from casemate.triggers.http_server.peer_rate import PeerRate

BURST = 100
"""Handshakes that a peer gets at once."""
PER_SECOND = 100.0
"""Handshakes a second that a peer gets after that. More wait, and are cut if they wait too long:
about a tenth of a core for each peer at 1 ms a handshake."""


class HandshakeRate(PeerRate):
    """The turns of handshakes.

    A client keeps its connection for many requests, so an honest one hardly notices.
    """

    __slots__ = ()

    def __init__(self) -> None:
        """Start with nobody known."""
        super().__init__(BURST, PER_SECOND)

    async def turn(self, peer: str) -> None:
        """Wait for the peer's turn."""
        seconds = self.delay(peer, asyncio.get_running_loop().time())
        if seconds > 0:
            await asyncio.sleep(seconds)
