"""Passing on the body of an HTTP/1 message. Chunks are read and written anew, so that no two
readings of them are left to the next hop.
"""

from __future__ import annotations

import re

from casemate.egress.channel import READ_SIZE, Channel
from casemate.egress.errors import RequestRefusedError
from casemate.egress.http_head import Body, parse_trailers

_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}\Z")
_MAX_TRAILERS = 32


async def copy_body(body: Body, source: Channel, sink: Channel) -> None:
    """Pass on one body. Raises RequestRefusedError if it breaks its own framing, and OSError."""
    if body.chunked:
        await _copy_chunks(source, sink)
    elif body.length is None:
        while data := await source.read():
            await sink.send(data)
    else:
        await _copy_length(body.length, source, sink)


async def _copy_length(left: int, source: Channel, sink: Channel) -> None:
    while left:
        data = await source.read(min(left, READ_SIZE))
        if not data:
            raise RequestRefusedError("The body is shorter than Content-Length.")
        left -= len(data)
        await sink.send(data)


async def _copy_chunks(source: Channel, sink: Channel) -> None:
    while True:
        line = await source.read_line()
        # Extensions are refused with the rest: nobody uses them but to disagree about a length.
        if not _CHUNK_SIZE.match(line):
            raise RequestRefusedError("A chunk does not start with its length alone.")
        left = int(line, 16)
        if not left:
            break
        while left:
            data = await source.read(min(left, READ_SIZE))
            if not data:
                raise RequestRefusedError("A chunk breaks off.")
            left -= len(data)
            await sink.send(b"%x\r\n%b\r\n" % (len(data), data))
        if await source.read_line():
            raise RequestRefusedError("A chunk is longer than its length.")
    await sink.send(b"0\r\n" + await _trailers(source) + b"\r\n")


async def _trailers(source: Channel) -> bytes:
    lines: list[str] = []
    while line := await source.read_line():
        lines.append(line.decode("latin-1"))
        if len(lines) > _MAX_TRAILERS:
            raise RequestRefusedError("There are too many trailers.", status=431)
    fields = parse_trailers(lines)
    return "".join(f"{name}: {value}\r\n" for name, value in fields.all).encode("latin-1")
