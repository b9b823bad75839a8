"""The one way of the sources process to the network: an event loop that connects by the rules.

Connectors and the libraries they use ask the loop for connections, as everything within asyncio
does. This loop makes none but to the one server of the trigger at whose connector's work it is
asked, at an address that `egress.access` lets through; and nothing else.
"""

from __future__ import annotations

import asyncio
import contextvars
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from casemate.egress.access import Access
from casemate.egress.errors import DeniedError, ListenerError, UpstreamError
from casemate.egress.rules import Rules
from casemate.egress.target import TargetError, parse_authority
from casemate.model.grant import Grant, GrantKind
from casemate.model.trigger import OutsideTrigger
from casemate.sources.errors import SourceError


class ConnectionDeniedError(SourceError):
    """The server outside may not be connected to. `reason` is for the records."""

    def __init__(self, error: DeniedError) -> None:
        """Take over what the rules say."""
        super().__init__(f"{error.message} ({error.reason})", next_step=error.next_step)
        self.reason = error.reason


def rules_of(trigger: OutsideTrigger) -> Rules:
    """Return the rules that allow a trigger's server alone. Raises SourceError."""
    try:
        return Rules(
            (
                Grant(
                    kind=GrantKind.EGRESS,
                    name=trigger.server,
                    actions=("connect",),
                    private=trigger.private,
                    exception=trigger.exception,
                ),
            )
        )
    except ListenerError as error:
        raise SourceError(error.message, next_step="Mend the trigger's host and port.") from error


@dataclass(frozen=True, slots=True)
class _Allowed:
    source: int
    rules: Rules


_allowed: contextvars.ContextVar[_Allowed | None] = contextvars.ContextVar("allowed", default=None)


@contextmanager
def connecting_for(source: int, rules: Rules) -> Iterator[None]:
    """Allow what this task, and those it starts, connect to."""
    token = _allowed.set(_Allowed(source, rules))
    try:
        yield
    finally:
        _allowed.reset(token)


def _not_here(*_: object, **__: object) -> NoReturn:
    raise PermissionError("the sources process makes connections by TCP only")


class RuledLoop(asyncio.SelectorEventLoop):
    """Makes outgoing TCP connections by the rules; no servers, datagrams or unix sockets."""

    access: Access
    """To be set before the first connection."""

    async def create_connection(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | None = None,
        port: int | None = None,
        *,
        ssl: Any = None,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        sock: socket.socket | None = None,
        **other: Any,
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Connect to a host of the rules. Raises ConnectionDeniedError, OSError."""
        if sock is not None or other or host is None or port is None:
            _not_here()
        sock = await self._open(str(host), port)
        try:
            return await super().create_connection(
                protocol_factory,
                sock=sock,
                ssl=ssl,
                # The name that was asked for, not the address it led to, is on the certificate.
                server_hostname=(server_hostname or str(host)) if ssl else None,
                ssl_handshake_timeout=ssl_handshake_timeout,
                ssl_shutdown_timeout=ssl_shutdown_timeout,
            )
        except BaseException:
            sock.close()
            raise

    async def _open(self, host: str, port: int) -> socket.socket:
        allowed = _allowed.get()
        if allowed is None:
            _not_here()
        try:
            target = parse_authority(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
            rule = self.access.decide(allowed.rules, target)
            return await self.access.connect(allowed.source, rule, target)
        except DeniedError as error:
            raise ConnectionDeniedError(error) from error
        except TargetError as error:
            raise SourceError(error.message, next_step=error.next_step) from error
        except UpstreamError as error:
            raise ConnectionError(error.message) from error

    create_server: Callable[..., Awaitable[Any]] = _not_here  # type: ignore[assignment]
    create_datagram_endpoint: Callable[..., Awaitable[Any]] = _not_here  # type: ignore[assignment]
    create_unix_connection: Callable[..., Awaitable[Any]] = _not_here  # type: ignore[assignment]
    create_unix_server: Callable[..., Awaitable[Any]] = _not_here  # type: ignore[assignment]
