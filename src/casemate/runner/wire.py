"""Frames between the gateway and an instance (or a zygote's report socket).

A frame is a 9-byte header `!cII` (kind, head length, body length), then the head (UTF-8 JSON
object, may be empty) and the body (bytes). Both ends check lengths before they allocate.

Gateway to instance: `I` invoke, `S` reply to a capability request. Instance to gateway: `R`
ready, `A` answer, `E` error, `L` log, `C` capability request, `G` a call that the sink guard
stopped or would have (with a body: shapes of what reached sinks), `M` what the handler measured
and, where that is sampled, what the guard's hooks took,
`D` which dependencies it loaded, right before its answer, and `P` what packages of others did, or
were not let do. A zygote's report begins with `N`,
with which come descriptors: listeners of its network namespace and that of its filter's
notifications; `D` is what its import loaded.
"""

from __future__ import annotations

import struct

HEADER = struct.Struct("!cII")
HEADER_BYTES = HEADER.size
INVOKE, READY, ANSWER, ERROR, LOG = b"I", b"R", b"A", b"E", b"L"
CAPABILITY, REPLY, DESCRIPTORS, GUARD, MEASURES = b"C", b"S", b"N", b"G", b"M"
LOADED, PACKAGES = b"D", b"P"
KINDS_FROM_ZYGOTE = frozenset((DESCRIPTORS, READY, ERROR, LOADED))
KINDS_FROM_INSTANCE = frozenset(
    (READY, ANSWER, ERROR, LOG, CAPABILITY, GUARD, MEASURES, LOADED, PACKAGES)
)
MAX_HEAD_BYTES = 256 * 1024
"""Heads carry ids, headers, traces: never data of a size that a caller chooses."""

_SMALL_PIECE = 4096
SHORT_READ, LONG_READ = 16 * 1024, 1024 * 1024


class FrameError(Exception):
    """The peer sent something that is not a frame."""


def header(kind: bytes, head: bytes, body: bytes) -> bytes:
    """Return a frame but for its body, which is sent after it."""
    return HEADER.pack(kind, len(head), len(body)) + head


def pack(kind: bytes, head: bytes = b"", body: bytes = b"") -> bytes:
    """Return one whole frame."""
    return HEADER.pack(kind, len(head), len(body)) + head + body


class FrameReader:
    """Cuts a byte stream into frames. Feed it what was read; it keeps what is incomplete.

    Pieces of a long frame are kept as they came and joined once, when it is complete.
    """

    __slots__ = ("_held", "_kinds", "_max_body", "_pieces", "_wanted")

    def __init__(self, kinds: frozenset[bytes], max_body: int) -> None:
        """Accept only `kinds`, and bodies of at most `max_body` bytes."""
        self._kinds = kinds
        self._max_body = max_body
        self._pieces: list[bytes] = []
        self._held = 0
        self._wanted = HEADER_BYTES

    def feed(self, data: bytes) -> list[tuple[bytes, bytes, bytes]]:
        """Return the frames (kind, head, body) that `data` completes. Raises FrameError."""
        if self._pieces:
            if len(self._pieces[-1]) < _SMALL_PIECE:
                # One byte at a time would cost forty in a list.
                self._pieces[-1] += data
            else:
                self._pieces.append(data)
            self._held += len(data)
            if self._held < self._wanted:
                return []
            data = b"".join(self._pieces)
            self._pieces = []
        return self._cut(data)

    def _cut(self, data: bytes) -> list[tuple[bytes, bytes, bytes]]:
        frames = []
        start, length = 0, len(data)
        self._wanted = HEADER_BYTES
        while length - start >= HEADER_BYTES:
            kind, head_length, body_length = HEADER.unpack_from(data, start)
            if kind not in self._kinds:
                raise FrameError(f"unknown frame kind {kind!r}")
            if head_length > MAX_HEAD_BYTES or body_length > self._max_body:
                raise FrameError(f"frame of {head_length} + {body_length} bytes is over the limit")
            head_start = start + HEADER_BYTES
            body_start = head_start + head_length
            end = body_start + body_length
            if length < end:
                self._wanted = end - start
                break
            frames.append((kind, data[head_start:body_start], data[body_start:end]))
            start = end
        self._held = length - start
        if self._held:
            self._pieces = [data[start:] if start else data]
        return frames

    @property
    def pending(self) -> int:
        """Number of bytes of a frame that has not ended."""
        return self._held

    @property
    def read_size(self) -> int:
        """Number of bytes to read next: few for a short frame, up to 1 MiB of a long one."""
        wanted = self._wanted - self._held
        return SHORT_READ if wanted <= SHORT_READ else min(wanted, LONG_READ)
