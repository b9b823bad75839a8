"""Connections to what the settings name, and to nothing else: names resolved, addresses checked.

The same check as for functions (`casemate.egress`): an address inside one's own network, of this
host itself or at which a cloud hands out credentials is refused unless the settings accept it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from ipaddress import IPv4Address

import msgspec

from casemate.egress.access import Access
from casemate.egress.addresses import refused_kind
from casemate.egress.config import EgressLimits
from casemate.egress.connector import Connector
from casemate.egress.errors import DeniedError, UpstreamError
from casemate.egress.resolver import Resolver
from casemate.egress.rules import Rule
from casemate.egress.target import Address
from casemate.monitor.errors import UndeliveredError
from casemate.monitor.reached import PRIVATE, Reached, accepting

MAX_BUFFER = 16 * 1024
"""Bytes of an answer that are read before somebody takes them; then no more is read."""
CONNECT_SECONDS = 8.0
_LIMITS = EgressLimits(connect_time=CONNECT_SECONDS, lookups=1, cache=5.0)

Opened = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Reach:
    """Connects for all channels."""

    def __init__(
        self,
        is_own: Callable[[Address], bool],
        trusted: ssl.SSLContext | None = None,
        *,
        places: int = 1,
    ) -> None:
        """Refuse what `is_own`; verify with `trusted` where a channel names no authority.

        Each of so many `places` can have a name looked up: one whose server of names hangs holds
        the thread of no other.
        """
        self._is_own = is_own
        limits = msgspec.structs.replace(_LIMITS, lookups_total=max(1, places))
        self._resolver = Resolver(limits)
        self._access = Access(self._resolver, Connector(), is_own, limits)
        self._trusted = trusted
        self._contexts: dict[str, ssl.SSLContext] = {}

    def context(self, reached: Reached) -> ssl.SSLContext:
        """Return how the other end is verified. Raises ssl.SSLError for what is no authority."""
        if not reached.ca and self._trusted is not None:
            return self._trusted
        known = self._contexts.get(reached.ca)
        if known is None:
            known = self._contexts[reached.ca] = tls_context(reached.ca)
        return known

    async def socket(self, place: int, reached: Reached) -> socket.socket:
        """Return a connected socket. Raises UndeliveredError. `place` tells channels apart."""
        rule = Rule("alerts", reached.target, private=reached.private)
        try:
            return await self._access.connect(place, rule, rule.target)
        except DeniedError as error:
            raise UndeliveredError(
                f"{rule.target.text} is not connected to: {error.reason}.",
                next_step=_if_intended(reached),
            ) from error
        except UpstreamError as error:
            raise UndeliveredError(f"{rule.target.text}: {error.message}") from error

    async def open(self, place: int, reached: Reached, *, tls: bool) -> Opened:
        """Return a stream to it. Raises UndeliveredError, OSError."""
        sock = await self.socket(place, reached)
        try:
            return await asyncio.open_connection(
                sock=sock,
                limit=MAX_BUFFER,
                ssl=self.context(reached) if tls else None,
                server_hostname=reached.target.host if tls else None,
            )
        except BaseException:
            sock.close()
            raise

    async def datagram(self, place: int, reached: Reached, data: bytes) -> None:
        """Send one datagram. Raises UndeliveredError, OSError."""
        target = reached.target
        try:
            found = (
                (target.address,)
                if target.address is not None
                else await self._resolver.resolve(place, target.host)
            )
        except UpstreamError as error:
            raise UndeliveredError(f"{target.text}: {error.message}") from error
        rule = Rule("alerts", target, private=reached.private)
        for address in found:
            if kind := refused_kind(address, rule, self._is_own):
                raise UndeliveredError(
                    f"{target.text} is not sent to: {kind} address {address}.",
                    next_step=_if_intended(reached),
                )
        family = socket.AF_INET if isinstance(found[0], IPv4Address) else socket.AF_INET6
        with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.setblocking(False)
            sock.connect((str(found[0]), target.port))
            sock.send(data)


def _if_intended(reached: Reached) -> str:
    return f"If this is intended: {accepting((*reached.accept, PRIVATE))}"


def tls_context(ca: str = "") -> ssl.SSLContext:
    """Return a context for authorities in PEM, or for those of the host."""
    context = ssl.create_default_context(cadata=ca or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
