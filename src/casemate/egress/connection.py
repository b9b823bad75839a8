"""One connection that a function made, and the upstream that it leads to."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from casemate.egress.access import Access
from casemate.egress.channel import Channel, relay
from casemate.egress.config import EgressLimits
from casemate.egress.cut import Cut
from casemate.egress.errors import DeniedError, UpstreamError
from casemate.egress.events import event_now
from casemate.egress.interface import EgressEvent
from casemate.egress.rules import Rule, Rules
from casemate.egress.target import Target
from casemate.egress.traffic import Traffic


class Connection:
    """A function's connection: its channels, its reports, its end."""

    def __init__(
        self,
        zygote: int,
        port: int,
        rules: Rules,
        access: Access,
        limits: EgressLimits,
        report: Callable[[EgressEvent], None],
        traffic: Traffic,
        cut: Callable[[], Cut],
    ) -> None:
        """`port` is the local port at which the function connected."""
        self.zygote = zygote
        self.port = port
        self.rules = rules
        self.access = access
        self.limits = limits
        self._report = report
        self._traffic = traffic
        self._cut = cut
        self._target: Target | None = None
        self._channels: list[Channel] = []
        self.touched = time.monotonic()
        """When the last byte moved (monotonic seconds)."""

    def touch(self) -> None:
        """Note that something moved."""
        self.touched = time.monotonic()

    async def take(self, sock: socket.socket, traffic: Traffic | None = None) -> Channel:
        """Return a connected socket as a channel that ends with this connection."""
        channel = await Channel.over(sock, self.touch, limit=self.limits.head, traffic=traffic)
        self._channels.append(channel)
        return channel

    async def connect(self, rule: Rule, target: Target) -> Channel:
        """Connect to a granted destination. Raises DeniedError or UpstreamError."""
        self._target = target
        self._cut().require_not(target)
        sock = await self.access.connect(self.zygote, rule, target)
        try:
            return await self.take(sock, self._traffic)
        except OSError:
            raise UpstreamError("The host ended the connection.", status=502) from None

    def drop(self, channel: Channel) -> None:
        """Close one channel at once."""
        channel.abort()
        self._channels.remove(channel)

    def allowed(self, rule: Rule, target: Target) -> None:
        """Record the use of a grant."""
        self._report(
            event_now(self.zygote, target.host, target.port, allowed=True, grant=rule.grant)
        )

    def denied(self, target: Target | None, reason: str) -> None:
        """Record a denial. Without a target the request named none that could be understood."""
        host, port = (target.host, target.port) if target is not None else ("", 0)
        self._report(event_now(self.zygote, host, port, allowed=False, reason=reason))

    @property
    def is_cut(self) -> bool:
        """Tell whether it leads, or is about to, where nothing may go any more."""
        return self._target is not None and self._cut().covers(self._target)

    @property
    def half_closed(self) -> bool:
        """Tell whether the function's side has ended."""
        return bool(self._channels) and self._channels[0].ended

    def close(self) -> None:
        """End every channel at once."""
        for channel in self._channels:
            channel.abort()
        self._channels.clear()


async def forward(connection: Connection, client: Channel) -> None:
    """Serve a `forward` port: plain TCP to the one destination of its grant."""
    rule = connection.rules.forwards[connection.port]
    try:
        upstream = await connection.connect(rule, rule.target)
    except DeniedError as error:
        connection.denied(rule.target, error.reason)
        return
    except UpstreamError:
        return
    connection.allowed(rule, rule.target)
    await relay(client, upstream)
