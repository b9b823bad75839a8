"""Bytes to requests, without any I/O: what of a connection's input belongs to which request.

Takes exactly one request at a time; what follows stays as it came until it is asked for. The
results depend on the bytes alone, never on how they were split.
"""

from __future__ import annotations

from casemate.triggers.http_server.chunked import ChunkedBody
from casemate.triggers.http_server.limits import HttpLimits
from casemate.triggers.http_server.request_head import (
    CHUNKED,
    RequestHead,
    RequestRefusedError,
    find_end,
    parse_head,
    too_large,
)

_KEPT_HEAD_BYTES = 2048
"""A head up to this is kept beside what it says, for one that is the same: clients repeat them."""


class RequestReader:
    """Input of one connection. Use: `feed`, `read_head`, `begin_body`, `feed`, `read_body`, …"""

    __slots__ = (
        "_buffer",
        "_chunked",
        "_known",
        "_known_bytes",
        "_length",
        "_limits",
        "_pieces",
        "_scanned",
        "_skipped_line",
        "received",
    )

    def __init__(self, limits: HttpLimits) -> None:
        """Start with no input."""
        self._limits = limits
        self._buffer = b""
        self._scanned = 0
        self._skipped_line = False
        self._length = 0
        """Body bytes that go to `_pieces`; 0 outside of a body of known length."""
        self._pieces: list[bytes] = []
        self._chunked: ChunkedBody | None = None
        self._known_bytes = b""
        self._known: RequestHead | None = None
        """What the head of these bytes, the last one, says."""
        self.received = 0
        """Bytes of the present body so far."""

    @property
    def waiting(self) -> bool:
        """True if there is input that was not used."""
        return bool(self._buffer)

    @property
    def begun(self) -> bool:
        """True if there is input that belongs to a request, be it one byte of its head."""
        return bool(self._buffer) and (self._buffer[0] != 13 or self._skipped_line)

    def clear(self) -> None:
        """Drop everything held."""
        self._buffer = b""
        self._pieces = []
        self._chunked = None
        self._length = 0
        self._known, self._known_bytes = None, b""

    def feed(self, data: bytes) -> None:
        """Add input."""
        if self._length:
            self._take_body(data)
        else:
            self._buffer = self._buffer + data if self._buffer else data

    def repeated(self, data: bytes) -> bytes | None:
        """Return the body of a request that is all of `data` and whose head is the last one again.

        None if it is anything else, be it part of such a request; it is to be fed then. To be
        asked between requests only.
        """
        known = self._known
        if known is None or self._buffer or self._skipped_line:
            return None
        head = self._known_bytes
        if len(data) - len(head) != known.length or not data.startswith(head):
            return None
        return data[len(head) :]

    def read_head(self, peer: str) -> RequestHead | None:
        """Return the next request's head, None if it is not all there.

        The same object for the same bytes as before: all that it says is in them and in `peer`,
        which is one for a connection. Raises RequestRefusedError; there is no way to go on after
        that.
        """
        buffer = self._buffer
        if not buffer:
            return None
        if buffer[0] == 13 and not self._skipped_line and not self._skip_line():
            return None
        buffer = self._buffer
        end = find_end(buffer, self._scanned, self._limits)
        if not end:
            self._scanned = len(buffer)
            return None
        self._buffer = buffer[end:]
        self._scanned = 0
        self._skipped_line = False
        raw = buffer[:end]
        known = self._known
        if known is not None and raw == self._known_bytes and known.head.peer == peer:
            return known
        self._known = None
        request = parse_head(raw, peer, self._limits)
        if end <= _KEPT_HEAD_BYTES:
            self._known_bytes, self._known = raw, request
        return request

    def _skip_line(self) -> bool:
        """Ignore one empty line before a request (RFC 9112, 2.2); False if nothing follows."""
        if self._buffer == b"\r":
            return False
        if self._buffer[:2] != b"\r\n":
            raise RequestRefusedError(400, "The request does not start with a method.")
        self._skipped_line = True
        self._buffer = self._buffer[2:]
        return bool(self._buffer)

    def begin_body(self, length: int, allowed: int) -> None:
        """Go on with a body of `length` (or CHUNKED), of which `allowed` bytes are accepted.

        Raises RequestRefusedError (413) if it is known to be longer.
        """
        self.received = 0
        if length == CHUNKED:
            self._chunked = ChunkedBody(allowed)
            return
        if length > allowed:
            raise too_large(allowed)
        self._length = length
        if length and self._buffer:
            data, self._buffer = self._buffer, b""
            self._take_body(data)

    def _take_body(self, data: bytes) -> None:
        missing = self._length - self.received
        if len(data) > missing:
            self._buffer += data[missing:]
            data = data[:missing]
        if data:
            self._pieces.append(data)
            self.received += len(data)

    def read_body(self) -> bytes | None:
        """Return the body once it is whole, None before. Raises RequestRefusedError."""
        pieces = self.read_pieces()
        if pieces is None:
            return None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read_pieces(self) -> list[bytes] | None:
        """Return the same as it came: to join a large body takes time."""
        chunked = self._chunked
        if chunked is not None:
            self._buffer = self._buffer[chunked.feed(self._buffer) :]
            self.received = chunked.size
            if not chunked.done:
                return None
            self._chunked = None
            return chunked.pieces
        if self.received < self._length:
            return None
        pieces, self._pieces = self._pieces, []
        self._length = 0
        return pieces
