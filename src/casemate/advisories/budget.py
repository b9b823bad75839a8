"""What one import may take of time, bytes and files."""

from __future__ import annotations

import time

from casemate.advisories import limits
from casemate.advisories.errors import CutShortError, SourceError


class Budget:
    """What one import may take: time, bytes, files. Each step asks it."""

    def __init__(self, deadline: float) -> None:
        """Begin with all of it; `deadline` is by the monotonic clock."""
        self.deadline = deadline
        self.files = 0
        self.bytes = 0
        self._packed: int | None = None

    def within(self, packed: int) -> None:
        """Hold what follows to the ratio of a compressed source."""
        self._packed = packed

    def file(self) -> None:
        """Take one file. Raises SourceError."""
        self.files += 1
        if self.files > limits.MAX_RECORDS:
            raise SourceError(f"The source has more than {limits.MAX_RECORDS} files.")
        self.time()

    def take(self, size: int) -> None:
        """Take unpacked bytes. Raises SourceError, CutShortError."""
        self.bytes += size
        if self.bytes > limits.MAX_INPUT_BYTES:
            raise SourceError(
                f"The source holds more than {limits.MAX_INPUT_BYTES // limits.MIB} MiB."
            )
        if self._packed is not None and self.bytes > max(
            limits.RATIO_FREE_BYTES, limits.MAX_RATIO * self._packed
        ):
            raise SourceError(f"The archive is compressed more than {limits.MAX_RATIO} times.")
        self.time()

    def time(self) -> None:
        """Raise CutShortError if it took too long."""
        if time.monotonic() > self.deadline:
            raise CutShortError("The import took too long.")
