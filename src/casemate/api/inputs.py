"""Strict reading of bodies. What is not expected is refused."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import IO

from starlette.requests import ClientDisconnect, Request

from casemate.api.problems import RequestError

MAX_JSON_BYTES = 64 * 1024
MAX_QUERY_BYTES = 2048
_WRITE_BYTES = 1024 * 1024
"""A body that goes to a file is written in pieces of this size, off the event loop."""

_NUMBER = re.compile(r"[0-9]{1,18}")


def require_media_type(request: Request, expected: str) -> None:
    """Refuse a body that is not of the media type `expected`, or that is compressed (415)."""
    values = request.headers.getlist("content-type")
    given = values[0].partition(";")[0].strip().lower() if len(values) == 1 else None
    if given != expected:
        raise RequestError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"The Content-Type is {', '.join(values)[:80] or 'missing'}, expected {expected}.",
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body has a Content-Encoding, expected none."
        )


def declared_length(request: Request, maximum: int) -> int:
    """Refuse a body that says it is longer than `maximum` bytes before reading any of it.

    Returns what it says; 0 if it does not.
    """
    declared = request.headers.get("content-length", "0")
    if _NUMBER.fullmatch(declared) is None or int(declared) > maximum:
        raise too_large(maximum)
    return int(declared)


def too_large(maximum: int) -> RequestError:
    """Return the error for a body of more than `maximum` bytes."""
    return RequestError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is longer than {maximum} bytes."
    )


async def read_body(request: Request, maximum: int) -> bytes:
    """Return the body. Raises RequestError if it is longer, or ends before it is complete."""
    declared_length(request, maximum)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > maximum:
                raise too_large(maximum)
    except ClientDisconnect as error:
        raise RequestError(
            HTTPStatus.BAD_REQUEST, "The body ended before it was complete."
        ) from error
    return bytes(body)


async def required_body(request: Request, maximum: int) -> bytes:
    """Return a JSON body, which must be there, of at most `maximum` bytes."""
    require_media_type(request, "application/json")
    return await read_body(request, maximum)


async def optional_body(request: Request, maximum: int) -> bytes | None:
    """Return a JSON body of at most `maximum` bytes; None for an empty one without a type."""
    if "content-type" not in request.headers and await read_body(request, maximum) == b"":
        return None
    return await required_body(request, maximum)


async def receive(request: Request, file: IO[bytes], maximum: int) -> int:
    """Write a body to `file` and return its size; refuse one of more than `maximum` bytes."""
    size = 0
    pending = bytearray()
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > maximum:
                raise too_large(maximum)
            pending += chunk
            if len(pending) >= _WRITE_BYTES:
                await asyncio.to_thread(file.write, bytes(pending))
                pending.clear()
    except ClientDisconnect as error:
        raise RequestError(
            HTTPStatus.BAD_REQUEST, "The body ended before it was complete."
        ) from error
    await asyncio.to_thread(file.write, bytes(pending))
    await asyncio.to_thread(file.flush)
    return size
