"""One answer of whom one is not logged in to: bounded in bytes and in time, whatever it sends.

Redirects are not followed, nothing packed is taken, and no proxy is asked for this machine itself.
"""

from __future__ import annotations

import ssl
import time
from typing import Any

import httpx2
import msgspec

from casemate.cli.credentials import is_loopback_url
from casemate.http_deadline import UNPACKED, ProgressDeadline, is_packed


def bounded_answer(
    method: str,
    url: str,
    seconds: float,
    most: int,
    *,
    verify: ssl.SSLContext | bool = True,
    headers: dict[str, str] | None = None,
    **rest: Any,
) -> tuple[int, bytes]:
    """Return status and body. Its head may take `seconds`, its body as long again.

    Raises httpx2.HTTPError, also for one of more than `most` bytes.
    """
    asked = {"accept": "*/*", **UNPACKED, **(headers or {})}
    progress = ProgressDeadline(seconds)
    with (
        httpx2.Client(
            verify=verify,
            follow_redirects=False,
            timeout=seconds,
            trust_env=not is_loopback_url(url),
        ) as client,
        client.stream(method, url, headers=asked, extensions=progress.extensions, **rest) as answer,
    ):
        if is_packed(answer.headers):
            raise httpx2.DecodingError("the answer is packed", request=answer.request)
        content = bytearray()
        deadline = time.monotonic() + seconds
        for piece in progress.pieces(answer.iter_raw()):
            content += piece
            if len(content) > most:
                raise httpx2.DecodingError("the answer is too large", request=answer.request)
            if time.monotonic() > deadline:
                raise httpx2.ReadTimeout("the answer takes too long", request=answer.request)
        return answer.status_code, bytes(content)


def text_in(answer: bytes, name: str) -> str:
    """Return a text of the JSON object that was answered; one of DECODING_ERRORS if it has none."""
    found = msgspec.json.decode(answer, type=dict[str, msgspec.Raw])  # numbers stay unread
    return msgspec.json.decode(found.get(name, b"null"), type=str)
