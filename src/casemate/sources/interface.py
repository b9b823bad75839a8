"""What a connector is given and what it gives: the port between servers outside and the gateway.

A connector fetches, hands over with `Session.keep` or `Session.offer`, and acknowledges at the
server outside only after that has said that the events are kept here. What is not acknowledged
comes again: every source is at least once, or as often as its server keeps what it sends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Protocol

import msgspec

from casemate.model.trigger import OutsideTrigger
from casemate.sources.config import SourceLimits

if TYPE_CHECKING:
    import asyncio
    import ssl

Text = Annotated[str, msgspec.Meta(max_length=1024)]
MAX_BODY = 16 << 20
_UNSENT = 4096


def bound_unsent(writer: asyncio.StreamWriter) -> None:
    """Have `drain` wait once more than a few answers wait to be sent.

    Each further one costs asyncio a look at all of them.
    """
    writer.transport.set_write_buffer_limits(high=_UNSENT)


class Received(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One message as the server outside sent it."""

    body: Annotated[bytes, msgspec.Meta(max_length=MAX_BODY)]
    content_type: Text = ""
    """What its sender says it is, empty if it says nothing."""
    id: Text = ""
    """The source's own id; empty if it has none."""
    deduplication: Text = ""
    """What tells this message from every other of the source, wherever it comes again; empty if
    the source has no such thing."""
    time: float | None = None
    """Unix time at which it happened, as far as its source says."""
    subject: Text = ""
    detail: Annotated[dict[str, str | int | float | bool | None], msgspec.Meta(max_length=64)] = {}


class Session(Protocol):
    """One connection's time of a source."""

    limits: SourceLimits
    tls: ssl.SSLContext
    """Verifies the server's certificate and name."""
    password: str
    """Empty if the trigger names none."""
    identity: str
    """Letters and digits that no other trigger of the node has, always the same for this one."""

    async def connect(self, *, tls: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection to the trigger's server. Raises OSError, SourceError."""
        ...

    def connected(self) -> None:
        """Tell that the server lets the source read."""
        ...

    async def keep(self, events: Sequence[Received]) -> None:
        """Return once all of the events are durable; waits while there is no room for them."""
        ...

    async def offer(self, events: Sequence[Received]) -> bool:
        """Tell whether the events are durable now; if not there is no room, and `pause` waits."""
        ...

    async def pause(self) -> None:
        """Wait for room; longer each time in a row that there was none."""
        ...

    def refused(self, reason: str, count: int = 1) -> None:
        """Record messages that are given up: too large, or more than there is room for."""
        ...

    def waiting(self, count: int | None) -> None:
        """Tell how many messages wait at the server."""
        ...


class Connector(Protocol):
    """One source. It is kept over connections, so it can remember what was not acknowledged."""

    async def run(self, session: Session) -> None:
        """Bring events until the connection ends.

        Raises SourceError for what an operator can mend, OSError (EOFError) for a lost connection.
        """
        ...


class MakeConnector(Protocol):
    """Makes the connector of a trigger."""

    def __call__(self, trigger: OutsideTrigger, /) -> Connector:
        """Return it. Raises SourceError for settings that no server could serve."""
        ...
