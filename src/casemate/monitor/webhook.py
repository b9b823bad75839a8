"""Alerts by POST: JSON, signed as Standard Webhooks 1.0 has it. Redirects are not followed.

Of the answer its status is read, and nothing else: what follows the head is never waited for.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable

import msgspec

from casemate import __version__
from casemate.monitor.errors import UndeliveredError
from casemate.monitor.messages import Message, document
from casemate.monitor.reaching import Reach
from casemate.monitor.settings import Deadman, Webhook, parse_url

_MAX_INTERIM = 4
"""Answers of the 1xx before the real one."""
_MAX_HEAD_LINES = 128

Sign = Callable[[str, bytes], Awaitable[bytes]]
"""Returns the HMAC-SHA256 of a message under a secret."""


async def post(
    reach: Reach, place: int, reached: Webhook | Deadman, body: bytes, headers: dict[str, str]
) -> None:
    """POST `body`. Raises UndeliveredError for any answer but one of success, OSError."""
    secure, target, path = parse_url(reached.url)
    default = target.port == (443 if secure else 80)
    host = target.text.removesuffix(f":{target.port}") if default else target.text
    sent = {
        "host": host,
        "user-agent": f"Casemate/{__version__}",
        "content-length": str(len(body)),
        "connection": "close",
        **headers,
    }
    head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in sent.items())
    reader, writer = await reach.open(place, reached, tls=secure)
    try:
        writer.write(head.encode("ascii") + b"\r\n" + body)
        await writer.drain()
        status = await _status(reader)
    finally:
        # At once: an answer without end is not waited for.
        writer.transport.abort()
    if 300 <= status < 400:
        raise UndeliveredError(
            f"It answers {status}: it redirects, which is not followed.",
            next_step="name the address that takes alerts itself",
        )
    if not 200 <= status < 300:
        raise UndeliveredError(f"It answers {status}.")


async def _status(reader: asyncio.StreamReader) -> int:
    for _ in range(_MAX_INTERIM):
        try:
            line = await reader.readline()
            version, _, rest = line.partition(b" ")
            code = rest[:3]
            if version not in (b"HTTP/1.1", b"HTTP/1.0") or not code.isdigit():
                raise UndeliveredError("What answers is no HTTP/1.1.")
            if not code.startswith(b"1"):
                return int(code)
            for _ in range(_MAX_HEAD_LINES):
                if not (await reader.readline()).strip():
                    break
        except ValueError:
            raise UndeliveredError("A line of its answer is too long.") from None
    raise UndeliveredError("It does not come to an answer.")


class WebhookChannel:
    """Sends messages to one."""

    def __init__(self, settings: Webhook, reach: Reach, place: int, sign: Sign) -> None:
        """Sign with `sign`."""
        self._settings = settings
        self._reach = reach
        self._place = place
        self._sign = sign

    async def send(self, message: Message) -> None:
        """Deliver a message. Raises UndeliveredError, VaultError, OSError."""
        body = msgspec.json.encode(document(message))
        stamp = str(int(time.time()))
        signed = f"{message.id}.{stamp}.".encode() + body
        signature = base64.b64encode(await self._sign(self._settings.secret, signed)).decode()
        headers = {
            "content-type": "application/json",
            "webhook-id": message.id,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{signature}",
        }
        await post(self._reach, self._place, self._settings, body, headers)
