"""Frames between the gateway and an instance (or a zygote's report socket).

A frame is a 9-byte header `!cII` (kind, head length, body length), then the head (UTF-8 JSON
object, may be empty) and the body (bytes). Both ends check lengths before they allocate.

Gateway to instance: `I` invoke. Instance to gateway: `R` ready, `A` answer, `E` error, `L` log.
"""

from __future__ import annotations

import struct

HEADER = struct.Struct("!cII")
HEADER_BYTES = HEADER.size
INVOKE, READY, ANSWER, ERROR, LOG = b"I", b"R", b"A", b"E", b"L"
KINDS_FROM_INSTANCE = frozenset((READY, ANSWER, ERROR, LOG))
MAX_HEAD_BYTES = 256 * 1024
"""Heads carry ids, headers, traces: never data of a size that a caller chooses."""


class FrameError(Exception):
    """The peer sent something that is not a frame."""


def pack(kind: bytes, head: bytes = b"", body: bytes = b"") -> bytes:
    """Return one whole frame."""
    return HEADER.pack(kind, len(head), len(body)) + head + body


class FrameReader:
    """Cuts a byte stream into frames. Feed it what was read; it keeps what is incomplete."""

    __slots__ = ("_buffer", "_kinds", "_max_body")

    def __init__(self, kinds: frozenset[bytes], max_body: int) -> None:
        """Accept only `kinds`, and bodies of at most `max_body` bytes."""
        self._buffer = b""
        self._kinds = kinds
        self._max_body = max_body

    def feed(self, data: bytes) -> list[tuple[bytes, bytes, bytes]]:
        """Return the frames (kind, head, body) that `data` completes. Raises FrameError."""
        buffer = self._buffer + data if self._buffer else data
        frames = []
        start = 0
        while len(buffer) - start >= HEADER_BYTES:
            kind, head_length, body_length = HEADER.unpack_from(buffer, start)
            if kind not in self._kinds:
                raise FrameError(f"unknown frame kind {kind!r}")
            if head_length > MAX_HEAD_BYTES or body_length > self._max_body:
                raise FrameError(f"frame of {head_length} + {body_length} bytes is over the limit")
            head_start = start + HEADER_BYTES
            body_start = head_start + head_length
            end = body_start + body_length
            if len(buffer) < end:
                break
            frames.append((kind, buffer[head_start:body_start], buffer[body_start:end]))
            start = end
        self._buffer = buffer[start:] if start else buffer
        return frames

    @property
    def pending(self) -> int:
        """Number of bytes of a frame that has not ended."""
        return len(self._buffer)
