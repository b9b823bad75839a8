"""Alerts by POST: JSON, signed as Standard Webhooks 1.0 has it. Redirects are not followed.

Of the answer its status is read, and nothing else (`casemate.monitor.http`).
"""

from __future__ import annotations

import base64
import time
from collections.abc import Awaitable, Callable

import msgspec

from casemate.monitor.http import Request, post
from casemate.monitor.messages import Message, document
from casemate.monitor.reaching import Reach
from casemate.monitor.settings import Webhook

Sign = Callable[[str, bytes], Awaitable[bytes]]
"""Returns the HMAC-SHA256 of a message under a secret."""


async def signed_headers(sign: Sign, secret: str, id: str, body: bytes) -> dict[str, str]:
    """Return the headers of a body that is sent under an id. Raises VaultError."""
    stamp = str(int(time.time()))
    signature = await sign(secret, f"{id}.{stamp}.".encode() + body)
    return {
        "webhook-id": id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }


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
        headers = await signed_headers(self._sign, self._settings.secret, message.id, body)
        headers["content-type"] = "application/json"
        request = Request("POST", self._settings.url, headers, body)
        await post(self._reach, self._place, self._settings, request)
