"""One request to what the settings name, and no more of its answer than is wanted.

HTTP/1.1, one connection for each request. Redirects are not followed. What an answer says of itself
is read within bounds of lines and bytes; what follows the head is read only where it is asked for
and its length is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from casemate import __version__
from casemate.monitor.errors import UndeliveredError
from casemate.monitor.reached import Reached, parse_url
from casemate.monitor.reaching import Reach

_MAX_INTERIM = 4
"""Answers of the 1xx before the real one."""
_MAX_HEAD_LINES = 128
_MAX_LENGTH_DIGITS = 9


class Answer(NamedTuple):
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    """Empty where no body was wanted."""
    body: bytes


class Request(NamedTuple):
    """What is asked. Names of headers are in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


def host_of(url: str) -> str:
    """Return the Host header for a URL. Raises TargetError."""
    secure, target, _ = parse_url(url)
    default = target.port == (443 if secure else 80)
    return target.text.removesuffix(f":{target.port}") if default else target.text


async def exchange(
    reach: Reach, place: int, reached: Reached, request: Request, *, most: int = 0
) -> Answer:
    """Return the answer, with up to `most` bytes of its body; 0: its status alone.

    The URL has to be one of `reached`: that is where is connected to. Raises UndeliveredError for
    what is no answer, OSError.
    """
    secure, _, path = parse_url(request.url)
    sent = {
        "host": host_of(request.url),
        "user-agent": f"Casemate/{__version__}",
        "content-length": str(len(request.body)),
        "connection": "close",
        **request.headers,
    }
    head = f"{request.method} {path} HTTP/1.1\r\n"
    head += "".join(f"{k}: {v}\r\n" for k, v in sent.items())
    reader, writer = await reach.open(place, reached, tls=secure)
    try:
        writer.write(head.encode("ascii") + b"\r\n" + request.body)
        await writer.drain()
        return await _answer(reader, most)
    finally:
        # At once: an answer without end is not waited for.
        writer.transport.abort()


async def _answer(reader: asyncio.StreamReader, most: int) -> Answer:
    for _ in range(_MAX_INTERIM):
        try:
            line = await reader.readline()
            version, _, rest = line.partition(b" ")
            code = rest[:3]
            if version not in (b"HTTP/1.1", b"HTTP/1.0") or not code.isdigit():
                raise UndeliveredError("What answers is no HTTP/1.1.")
            if not code.startswith(b"1"):
                if not most:
                    return Answer(int(code), {}, b"")
                headers = await _headers(reader)
                return Answer(int(code), headers, await _body(reader, headers, most))
            await _headers(reader)
        except ValueError:
            raise UndeliveredError("A line of its answer is too long.") from None
    raise UndeliveredError("It does not come to an answer.")


async def _headers(reader: asyncio.StreamReader) -> dict[str, str]:
    found: dict[str, str] = {}
    for _ in range(_MAX_HEAD_LINES):
        line = (await reader.readline()).decode("latin-1").strip()
        if not line:
            break
        name, _, value = line.partition(":")
        found[name.strip().lower()] = value.strip()
    return found


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str], most: int) -> bytes:
    """Return the body if its length is told and no longer than that, else nothing."""
    told = headers.get("content-length", "")
    if not (told.isascii() and told.isdecimal()) or len(told) > _MAX_LENGTH_DIGITS:
        return b""
    size = int(told)
    if not 0 < size <= most:
        return b""
    return await reader.readexactly(size)


async def post(reach: Reach, place: int, reached: Reached, request: Request) -> None:
    """Ask, and read the status. Raises UndeliveredError for any but one of success, OSError."""
    require_success((await exchange(reach, place, reached, request)).status)


def require_success(status: int) -> None:
    """Raise UndeliveredError for any status but one of success."""
    if 300 <= status < 400:
        raise UndeliveredError(
            f"It answers {status}: it redirects, which is not followed.",
            next_step="Name the address that takes it itself.",
        )
    if not 200 <= status < 300:
        raise UndeliveredError(f"It answers {status}.")
