"""Lines of logs by syslog: RFC 5424 over TLS, many over one connection.

Syslog has no acknowledgement: what a server took over TLS and then lost is not sent again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from casemate.monitor.exports.collector import Delivered
from casemate.monitor.exports.settings import SyslogLines
from casemate.monitor.reaching import Reach
from casemate.monitor.syslog import Line, framed, send_over_tls
from casemate.recorder import reading_protocol
from casemate.shown_text import UNSAFE

MAX_TEXT_BYTES = 7000
"""Of the text of one line as it is sent: of all of a line receivers are to take 8,192 (RFC 5425,
4.3.1), and at one that is longer some end the connection, and with it the lines of all others."""
_SEVERITIES: Mapping[str, int] = {
    "debug": 7,
    "stdout": 6,
    "info": 6,
    "warning": 4,
    "error": 3,
    "critical": 2,
}
_UNKNOWN_SEVERITY = 5


def shown(text: str) -> str:
    """Return a text on one line: what ends one, or commands a terminal, is written as escapes."""
    cut = UNSAFE.sub(lambda found: _escape(found[0]), text[:MAX_TEXT_BYTES])
    if not cut.isprintable():
        cut = "".join(c if c.isprintable() else _escape(c) for c in cut)
    encoded = cut.encode("utf-8", "backslashreplace")
    if len(text) <= MAX_TEXT_BYTES and len(encoded) <= MAX_TEXT_BYTES:
        return cut
    return encoded[:MAX_TEXT_BYTES].decode("utf-8", "ignore") + "..."


def _escape(letters: str) -> str:
    return letters.encode("unicode_escape").decode("ascii")


class SyslogExport:
    """Sends lines to one server."""

    def __init__(self, settings: SyslogLines, reach: Reach, place: int, node: str) -> None:
        """Connect by `reach`."""
        self._settings = settings
        self._reach = reach
        self._place = place
        self._node = node

    async def send(self, lines: Sequence[reading_protocol.Line]) -> Delivered:
        """Deliver lines. Raises UndeliveredError, OSError."""
        encoded = [framed(self._line(each)) for each in lines]
        await send_over_tls(self._reach, self._place, self._settings, encoded)
        return Delivered()

    def _line(self, each: reading_protocol.Line) -> Line:
        line = each.line
        fields = {
            "project": line.project,
            "function": line.function,
            "version": str(line.version),
            "invocation": line.invocation,
            "level": line.level,
            "uid": str(line.sequence),
            **({"trace": each.trace_id} if each.trace_id else {}),
        }
        severity = _SEVERITIES.get(line.level, _UNKNOWN_SEVERITY)
        return Line(severity, line.at, self._node, "line", fields, shown(line.text))
