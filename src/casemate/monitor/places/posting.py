"""Checkpoints by POST, signed as alerts are, and by syslog over TLS."""

from __future__ import annotations

import base64
import time

import msgspec

from casemate import __version__
from casemate.model.level import Level
from casemate.monitor.http import Request, post
from casemate.monitor.places.note import Note
from casemate.monitor.places.settings import SyslogPlace, WebhookPlace
from casemate.monitor.reaching import Reach
from casemate.monitor.syslog import SEVERITIES, Line, framed, send_over_tls
from casemate.monitor.webhook import Sign, signed_headers

_KIND = "checkpoint"


class PostedTo:
    """Sends to one webhook."""

    def __init__(
        self, settings: WebhookPlace, reach: Reach, place: int, node: str, sign: Sign
    ) -> None:
        """Connect by `reach`, sign with `sign`."""
        self._settings = settings
        self._reach = reach
        self._place = place
        self._node = node
        self._sign = sign

    async def send(self, note: Note) -> None:
        """Deliver it. Raises UndeliveredError, VaultError, OSError."""
        body = msgspec.json.encode(
            {
                "id": note.id,
                "type": _KIND,
                "node": self._node,
                "version": __version__,
                "size": note.size,
                "checkpoint": note.text,
                "key": note.key,
            }
        )
        headers = await signed_headers(self._sign, self._settings.secret, note.id, body)
        headers["content-type"] = "application/json"
        request = Request("POST", self._settings.url, headers, body)
        await post(self._reach, self._place, self._settings, request)


class LoggedAt:
    """Sends to one server of syslog."""

    def __init__(self, settings: SyslogPlace, reach: Reach, place: int, node: str) -> None:
        """Connect by `reach`."""
        self._settings = settings
        self._reach = reach
        self._place = place
        self._node = node

    async def send(self, note: Note) -> None:
        """Deliver it; that a server keeps it is not acknowledged. UndeliveredError, OSError."""
        fields = {
            "id": note.id,
            "size": str(note.size),
            # Whole: `base64 -d` gives what `casemate journal verify --checkpoint` takes.
            "note": base64.b64encode(note.text.encode()).decode(),
        }
        text = f"checkpoint of {note.size} entries of the journal"
        severity = SEVERITIES[Level.INFORMATIONAL]
        data = framed(Line(severity, time.time(), self._node, _KIND, fields, text))
        await send_over_tls(self._reach, self._place, self._settings, (data,))
