"""Files that a command makes where there are none: whole, or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from casemate.cli.errors import CommandError


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Give a file that was not there, within the block; it is removed where that fails.

    What was written is with the system once the block has ended. Raises OSError.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as target:
            yield target
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def write_new(path: Path, content: bytes, option: str) -> None:
    """Write a new file, which `option` of the command names. Raises CommandError."""
    try:
        with new_file(path) as target:
            target.write(content)
    except OSError as error:
        raise CommandError(
            f"{path} cannot be written: {error.strerror}.", next_step=f"Choose another {option}."
        ) from error
