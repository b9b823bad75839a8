"""What an egress process is started with."""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.child.protocol import ChildConfig

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class EgressLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds on what a function can make the proxy hold. Sizes are bytes, times seconds."""

    connections: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 256
    """Connections of one zygote at a time; further ones wait to be accepted."""
    head: Annotated[int, msgspec.Meta(ge=256, le=1 << 20)] = 32 * 1024
    """Request line and header fields together."""
    head_time: Seconds = 10.0
    """From the connection to the end of its first request's head."""
    keep_alive: Seconds = 60.0
    """From one request's end to the end of the next one's head."""
    resolve_time: Seconds = 5.0
    connect_time: Seconds = 10.0
    """All addresses of a host together."""
    hello_time: Seconds = 10.0
    """From the opened tunnel to the end of the ClientHello where TLS is required."""
    idle: Seconds = 900.0
    """Without a byte in either direction."""
    half_closed: Seconds = 60.0
    """The same once the function's side has ended."""
    cache: Seconds = 30.0
    """For which the addresses of a name stay what they were."""
    lookups: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4
    """Name resolutions of one zygote at a time, of `lookups_total` for all."""
    lookups_total: Annotated[int, msgspec.Meta(ge=1, le=256)] = 32
    """Of those that somebody waits for; there may be as many that nobody does any more."""


class EgressConfig(ChildConfig, frozen=True, kw_only=True):
    """What the supervisor tells the egress process when it starts it."""

    own_addresses: tuple[str, ...] = ()
    """Addresses that lead to this host from outside but are on none of its interfaces (NAT)."""
    limits: EgressLimits = EgressLimits()
    learn: bool = False
    """True lets through what is not granted; for development."""
