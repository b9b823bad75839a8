"""Files that a command makes where there are none: whole, or not there."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from casemate.cli.errors import CommandError, UsageError
from casemate.kernel.drafts import draft_file
from casemate.kernel.durability import sync_folder
from casemate.kernel.placing import take_name

_NAME_LENGTH = 100


@contextmanager
def new_file(path: Path, *, mode: int = 0o600) -> Iterator[BinaryIO]:
    """Give a file beside `path`, where nothing is; it takes that name at the end of the block.

    Where the block fails it is removed, and what a kill leaves of it is by the next command of the
    same. What was written is on the disk once the block has ended. `mode` is as of `draft_file`.
    Raises OSError, and UsageError for `-`: a file of that name is not what anybody means.
    """
    if str(path) == "-":
        raise UsageError(
            "A file is wanted here, and `-` is none.",
            next_step="Name a file; what is printed without the option can be piped.",
        )
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    prefix = f".{path.name[:_NAME_LENGTH]}."
    with draft_file(path.parent, prefix, ".part", mode=mode) as (draft, descriptor):
        with os.fdopen(descriptor, "wb", closefd=False) as target:
            yield target
        os.fsync(descriptor)
        take_name(draft, path)
        sync_folder(path.parent)


def write_new(path: Path, content: bytes, option: str) -> None:
    """Write a new file, which `option` of the command names. Raises CommandError."""
    try:
        with new_file(path) as target:
            target.write(content)
    except OSError as error:
        raise CommandError(
            f"{path} cannot be written: {error.strerror}.", next_step=f"Choose another {option}."
        ) from error
