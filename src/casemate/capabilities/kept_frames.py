"""What one invocation asked for and was answered, kept for its recording until it has ended.

Nothing is copied: what is kept is what was read and sent anyway. Values of secrets are not among
it: they travel by descriptors.
"""

from __future__ import annotations

from casemate.model.recording import Frame

MAX_FRAMES = 128
MAX_BYTES = 256 * 1024


class KeptFrames:
    """Of one invocation."""

    __slots__ = ("_left", "frames", "left_out")

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._left = MAX_BYTES
        self.frames: list[Frame] = []
        self.left_out = 0

    def asked(self, head: bytes, content: bytes = b"") -> None:
        """Keep what the function asked for."""
        self._keep(Frame(True, head, content))

    def answered(self, head: bytes, content: bytes = b"") -> None:
        """Keep what it was answered."""
        self._keep(Frame(False, head, content))

    def _keep(self, frame: Frame) -> None:
        size = len(frame.head) + len(frame.content)
        if size > self._left or len(self.frames) >= MAX_FRAMES:
            self.left_out += 1
            return
        self._left -= size
        self.frames.append(frame)
