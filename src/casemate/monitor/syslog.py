"""Alerts by syslog: RFC 5424, over TLS with octet counting (RFC 5425), or in datagrams (RFC 5426).

Syslog has no acknowledgement: what a server took over TLS and then lost is not sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping

from casemate.model.level import Level
from casemate.monitor.messages import Message, plain
from casemate.monitor.reaching import Reach
from casemate.monitor.settings import Syslog

_FACILITY = 13  # log audit
_SEVERITIES: Mapping[Level, int] = {
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


def _value(text: str) -> str:
    cut = plain(text, _MAX_VALUE)
    return cut.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def line(message: Message) -> bytes:
    """Return a message as syslog has it."""
    newest = message.found[-1]
    priority = _FACILITY * 8 + _SEVERITIES[message.level]
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(newest.at))
    host = "".join(c if "!" <= c <= "~" else "-" for c in message.node)[:255] or "-"
    fields = {
        "id": message.id,
        "rule": newest.rule,
        "level": str(message.level),
        "entity": newest.entity,
        "count": str(sum(each.count for each in message.found)),
        "findings": str(len(message.found)),
        "project": newest.project,
    }
    data = " ".join(f'{name}="{_value(value)}"' for name, value in fields.items())
    head = f"<{priority}>1 {stamp} {host} casemate - {message.kind} [{_ENTERPRISE} {data}]"
    # The mark says that what follows is UTF-8 (RFC 5424, 6.4).
    return head.encode() + b" \xef\xbb\xbf" + message.subject.encode()


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
        _, writer = await self._reach.open(self._place, self._settings, tls=True)
        try:
            writer.write(b"%d " % len(data) + data)
            await writer.drain()
            writer.close()
            # A connection that it has reset is an error here. One that says no good-bye is none.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE_SECONDS):
                    await writer.wait_closed()
        finally:
            writer.transport.abort()
