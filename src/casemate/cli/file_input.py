"""Content that a command sends: from a file, or from standard input."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from casemate.cli.errors import UsageError
from casemate.cli.terminal import YELLOW, note

STANDARD_INPUT = "-"


def content_of(file: Path | None, place: str, most: int, *, private: bool = False) -> bytes:
    """Return what a file holds; `-` and None are standard input.

    At most one byte more than `most`, by which whoever asks sees that there is more. UsageError,
    with `place` for its name, if it cannot be read. A `private` file that other users may read is
    noted.
    """
    try:
        if file is None or str(file) == STANDARD_INPUT:
            return sys.stdin.buffer.read(most + 1)
        with file.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            if private and stat.S_ISREG(mode) and mode & 0o077:
                note(f"Other users of this machine may read {place}.", YELLOW)
            return stream.read(most + 1)
    except OSError as error:
        raise UsageError(
            f"{place} cannot be read: {error.strerror}.", next_step="Name a file you can read."
        ) from error
