"""Alerts by syslog: RFC 5424, over TLS with octet counting (RFC 5425), or in datagrams (RFC 5426).

Syslog has no acknowledgement: what a server took over TLS and then lost is not sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from casemate.model.level import Level
from casemate.monitor.messages import Message, plain
from casemate.monitor.reached import Reached
from casemate.monitor.reaching import Reach
from casemate.monitor.settings import Syslog

_FACILITY = 13  # log audit
SEVERITIES: Mapping[Level, int] = {
    Level.INFORMATIONAL: 6,
    Level.LOW: 5,
    Level.MEDIUM: 4,
    Level.HIGH: 3,
    Level.CRITICAL: 2,
}
_ENTERPRISE = "casemate@32473"
"""An id of structured data; the number is the one for documentation (RFC 5612): we have none."""
_MAX_VALUE = 512
_GOODBYE_SECONDS = 2.0
_LATEST = 253_402_300_800.0
"""Unix time of the year 10000, which no stamp can tell."""


def _value(text: str) -> str:
    cut = plain(text, _MAX_VALUE)
    return cut.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


class Line(NamedTuple):
    """What one line of syslog says."""

    severity: int
    at: float
    node: str
    kind: str
    fields: Mapping[str, str]
    text: str


def framed(line: Line) -> bytes:
    """Return a line as syslog has it."""
    stamp = datetime.fromtimestamp(line.at if 0 <= line.at < _LATEST else 0, UTC)
    host = "".join(c if "!" <= c <= "~" else "-" for c in line.node)[:255] or "-"
    data = " ".join(f'{name}="{_value(value)}"' for name, value in line.fields.items())
    head = (
        f"<{_FACILITY * 8 + line.severity}>1 {stamp.isoformat()[:-6]}Z "
        f"{host} casemate - {line.kind} [{_ENTERPRISE} {data}]"
    )
    # The mark says that what follows is UTF-8 (RFC 5424, 6.4).
    return head.encode() + b" \xef\xbb\xbf" + line.text.encode("utf-8", "backslashreplace")


def line(message: Message) -> bytes:
    """Return a message as syslog has it."""
    newest = message.found[-1]
    fields = {
        "id": message.id,
        "rule": newest.rule,
        "level": str(message.level),
        "entity": newest.entity,
        "count": str(sum(each.count for each in message.found)),
        "findings": str(len(message.found)),
        "project": newest.project,
    }
    severity = SEVERITIES[message.level]
    kind = str(message.kind)
    at = int(newest.at) if 0 <= newest.at < _LATEST else 0
    return framed(Line(severity, at, message.node, kind, fields, message.subject))


async def send_over_tls(reach: Reach, place: int, reached: Reached, lines: Sequence[bytes]) -> None:
    """Deliver lines over one connection (RFC 5425). Raises UndeliveredError, OSError."""
    _, writer = await reach.open(place, reached, tls=True)
    try:
        for each in lines:
            writer.write(b"%d " % len(each) + each)
            # A server that reads slowly is waited for: no more than one line is held for it.
            await writer.drain()
        writer.close()
        # A connection that it has reset is an error here. One that says no good-bye is none.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await writer.wait_closed()
    finally:
        writer.transport.abort()


class SyslogChannel:
    """Sends messages to one server."""

    def __init__(self, settings: Syslog, reach: Reach, place: int) -> None:
        """Connect by `reach`."""
        self._settings = settings
        self._reach = reach
        self._place = place

    async def send(self, message: Message) -> None:
        """Deliver a message. Raises UndeliveredError, OSError."""
        data = line(message)
        if self._settings.udp:
            await self._reach.datagram(self._place, self._settings, data)
            return
        await send_over_tls(self._reach, self._place, self._settings, (data,))
