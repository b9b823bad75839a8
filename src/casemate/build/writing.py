"""Writes files of a project so that none is ever half written."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path


def write_together(texts: Mapping[Path, str], *, like: Path) -> None:
    """Replace files by others, in the order given, owned by whoever owns `like`.

    All are on the disk before the first is replaced; each is either as it was or as it is to be,
    whenever this process ends. Raises OSError, after which none is replaced unless that failed.
    """
    staged: list[tuple[str, Path]] = []
    try:
        for path, text in texts.items():
            staged.append((_staged(path, text, like), path))
        for temporary, path in staged:
            Path(temporary).replace(path)
        for folder in {path.parent for path in texts}:
            _sync(folder)
    finally:
        for temporary, _ in staged:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def _staged(path: Path, text: str, like: Path) -> str:
    """Write a text beside where it is to be; return the file's name."""
    descriptor, temporary = tempfile.mkstemp(prefix=".casemate-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
            owner = like.stat()
            os.fchmod(descriptor, 0o644)
            if os.geteuid() == 0:
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    return temporary


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
