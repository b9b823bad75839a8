"""What the sources process is started with."""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.child.protocol import ChildConfig

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class SourceLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of each source. Sizes are bytes, times seconds."""

    unacknowledged: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    """Events taken from the server that are not kept yet; then nothing more is read."""
    message: Annotated[int, msgspec.Meta(ge=1024, le=8 << 20)] = 1 << 20
    """Size of one message; larger ones are refused as their server allows, and recorded."""
    batch_bytes: Annotated[int, msgspec.Meta(ge=1024, le=16 << 20)] = 2 << 20
    """Size of what is handed over at once, unless one message is larger."""
    held_bytes: Annotated[int, msgspec.Meta(ge=1024, le=64 << 20)] = 8 << 20
    """Size of what one reply may hold, and of what waits where the server keeps nothing."""
    first_pause: Seconds = 0.25
    """Before a lost connection is made again; doubles up to `longest_pause`, half of it drawn."""
    longest_pause: Seconds = 30.0
    steady: Seconds = 30.0
    """A connection that lasted as long starts again with `first_pause`."""
    full_pause: Seconds = 0.25
    """The same for an inbox that is full, up to `full_longest`."""
    full_longest: Seconds = 5.0
    connect_time: Seconds = 15.0
    """From the first packet to the server's readiness, TLS and log-in included."""
    silence: Seconds = 30.0
    """Without an answer to a question of ours the connection is given up."""


class SourcesConfig(ChildConfig, frozen=True, kw_only=True):
    """What the supervisor tells the sources process."""

    own_addresses: tuple[str, ...] = ()
    """Addresses that lead to this host from outside but are on none of its interfaces (NAT)."""
    limits: SourceLimits = SourceLimits()
