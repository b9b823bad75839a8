"""How a server outside is that a trigger reads from."""

from __future__ import annotations

import msgspec


class SourceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a source is. Times are Unix seconds."""

    project: str
    function: str
    trigger: str
    kind: str
    server: str
    """`host:port`."""
    connected: bool
    since: float
    """When it was connected, or lost the connection."""
    last_event_at: float | None = None
    events: int = 0
    """Kept since the gateway was started."""
    refused: int = 0
    """Given up since then: too large, or more than there was room for."""
    waiting: int | None = None
    """Messages that wait at the server, as of when it was asked last; None if nobody can tell."""
    losses: int = 0
    """How often it lost its connection since then."""
    error: str = ""
    """What is wrong, or was wrong last."""
    error_at: float | None = None
