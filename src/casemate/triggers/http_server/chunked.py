"""Chunked bodies (RFC 9112, section 7.1), decoded strictly and with bounds on their overhead.

The project's own decoder because llhttp cannot stop at the end of a message: here the end is
known exactly, so what follows stays unparsed until this request has been answered. Extensions
and trailer fields are checked for syntax and dropped. A trailer field that would say how the
message is framed, routed, authenticated or processed is refused: whoever merges it into the head
would read another request than we do.
"""

from __future__ import annotations

import re

from casemate.triggers.http_server.request_head import RequestRefusedError, too_large

LINE_BYTES = 1024
"""Longest size line with extensions, and longest trailer field."""
TRAILER_BYTES = 8 * 1024
OVERHEAD_BYTES = 16 * 1024
"""Framing that is allowed on top of as much framing as there is data."""
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_SIZE_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,16})((?:;"
    + _TOKEN
    + rb"(?:=(?:"
    + _TOKEN
    + rb'|"(?:[\t \x21\x23-\x5b\x5d-\x7e]|\\[\t\x20-\x7e])*"))?)*)\r\n'
)
_TRAILER_LINE = re.compile(rb"(" + _TOKEN + rb"):[\t\x20-\x7e\x80-\xff]*\r\n")
FORBIDDEN_TRAILERS = frozenset(
    (
        *(b"content-length", b"transfer-encoding", b"te", b"trailer", b"connection", b"keep-alive"),
        *(b"proxy-connection", b"upgrade", b"host", b"forwarded", b"max-forwards", b"expect"),
        *(b"authorization", b"proxy-authorization", b"www-authenticate", b"proxy-authenticate"),
        *(b"cookie", b"set-cookie", b"cache-control", b"pragma", b"range", b"if-match"),
        *(b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range"),
        *(b"content-encoding", b"content-type", b"content-range", b"content-language"),
        *(b"content-location", b"age", b"date", b"expires", b"location", b"retry-after", b"vary"),
    )
)
"""Fields that no trailer may hold (RFC 9110, 6.5.1): framing, routing, request modifiers,
authentication, control data and how content is processed. Lower case."""
_FORBIDDEN_PREFIXES = (b"x-forwarded-", b"proxy-")

_SIZE, _DATA, _DATA_END, _TRAILER, _DONE = range(5)


class ChunkedBody:
    """Decoder of one body of at most `limit` bytes."""

    __slots__ = ("_limit", "_overhead", "_remaining", "_state", "_trailer", "pieces", "size")

    def __init__(self, limit: int) -> None:
        """Start before the first chunk."""
        self.size = 0
        """Bytes of data decoded so far."""
        self._limit = limit
        self._overhead = 0
        self.pieces: list[bytes] = []
        """That data, as it came."""
        self._remaining = 0
        self._state = _SIZE
        self._trailer = 0

    @property
    def done(self) -> bool:
        """True once the whole body, trailer included, was consumed."""
        return self._state == _DONE

    def body(self) -> bytes:
        """Return the data decoded so far."""
        return b"".join(self.pieces)

    def feed(self, data: bytes) -> int:
        """Consume from the start of `data`; return how many bytes were taken.

        What was not taken must be given again, followed by more. Raises RequestRefusedError:
        400 for bad framing, 413 as soon as a chunk goes beyond the limit.
        """
        position = 0
        while self._state != _DONE:
            step = self._take_data if self._state == _DATA else self._take_framing
            taken = step(data, position)
            if taken == 0:
                break
            position += taken
        return position

    def _take_data(self, data: bytes, start: int) -> int:
        piece = data[start : start + self._remaining]
        if piece:
            self.pieces.append(piece)
            self.size += len(piece)
            self._remaining -= len(piece)
            if self._remaining == 0:
                self._state = _DATA_END
        return len(piece)

    def _take_framing(self, data: bytes, start: int) -> int:
        if self._state == _DATA_END:
            end = data[start : start + 2]
            if len(end) < 2:
                return 0
            if end != b"\r\n":
                raise RequestRefusedError(400, "A chunk is longer than its size.")
            self._state = _SIZE
            return self._count(2)
        newline = data.find(b"\n", start, start + LINE_BYTES)
        if newline < 0:
            if len(data) - start >= LINE_BYTES:
                raise RequestRefusedError(400, "A line of the chunked framing is too long.")
            return 0
        line = data[start : newline + 1]
        if self._state == _SIZE:
            self._take_size(line)
        else:
            self._take_trailer(line)
        return self._count(len(line))

    def _take_size(self, line: bytes) -> None:
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise RequestRefusedError(400, "A chunk size line is not valid.")
        self._remaining = int(match[1], 16)
        if self._remaining == 0:
            self._state = _TRAILER
        elif self.size + self._remaining > self._limit:
            raise too_large(self._limit)
        else:
            self._state = _DATA

    def _take_trailer(self, line: bytes) -> None:
        if line == b"\r\n":
            self._state = _DONE
            return
        self._trailer += len(line)
        match = _TRAILER_LINE.fullmatch(line)
        if self._trailer > TRAILER_BYTES or match is None:
            raise RequestRefusedError(400, "The trailer of the body is not valid.")
        name = match[1].lower()
        if name in FORBIDDEN_TRAILERS or name.startswith(_FORBIDDEN_PREFIXES):
            raise RequestRefusedError(400, "The trailer holds a field that no trailer may hold.")

    def _count(self, framing: int) -> int:
        self._overhead += framing
        if self._overhead > self.size + OVERHEAD_BYTES:
            raise RequestRefusedError(400, "The body consists mostly of framing.")
        return framing
