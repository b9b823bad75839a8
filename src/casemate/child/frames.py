"""Frames on a stream between two processes of a node: a length of 4 bytes, then as many."""

from __future__ import annotations

LENGTH_BYTES = 4


class FrameError(Exception):
    """What came is no frame, or not one that is due."""


def frame(body: bytes) -> bytes:
    """Return a frame."""
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


class FrameBuffer:
    """Cuts a stream of bytes into frames."""

    def __init__(self, limit: int) -> None:
        """Refuse frames of more than `limit` bytes as soon as their length is known."""
        self._data = bytearray()
        self._limit = limit

    @property
    def between_frames(self) -> bool:
        """Tell whether nothing of a further frame has come yet."""
        return not self._data

    def feed(self, data: bytes) -> list[bytes]:
        """Return the bodies of the frames that are complete now. Raises FrameError."""
        self._data += data
        frames: list[bytes] = []
        at = 0
        while len(self._data) - at >= LENGTH_BYTES:
            length = int.from_bytes(self._data[at : at + LENGTH_BYTES], "big")
            if not 0 < length <= self._limit:
                raise FrameError(f"a frame of {length} bytes, expected 1 to {self._limit}")
            end = at + LENGTH_BYTES + length
            if len(self._data) < end:
                break
            frames.append(bytes(self._data[at + LENGTH_BYTES : end]))
            at = end
        if at:
            del self._data[:at]
        return frames
