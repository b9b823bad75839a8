"""What this process could not write, until it can be written again.

Calls that need no write go on while a disk takes none, and what a caller is told of one is seen by
that caller alone. So whoever writes has a `Place`, and the node's health tells of those that fail.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_TRIAL = bytes(4096)
_lock = threading.Lock()
_failing: dict[Place, _Failure] = {}
"""Those of this process, each until a write works."""


class _Failure:
    __slots__ = ("certain", "count", "last", "since", "why")

    def __init__(self) -> None:
        self.since = self.last = time.time()
        self.count = 0
        self.why = ""
        self.certain = False


class Place:
    """What one writer writes to. Any thread; costs next to nothing while all is well."""

    __slots__ = ("_folder", "name")

    def __init__(self, name: str, folder: Path | int | None = None) -> None:
        """Tell of it as `name`. It is tried again by a small file in `folder`, else by its owner.

        Nobody may write there for days: that it works again has to be found out. `folder` is a
        path or a descriptor.
        """
        self.name = name
        self._folder = folder

    def failed(self, why: str, count: int = 1, *, certain: bool = True) -> None:
        """Note that so many changes were not written. Not `certain`: a trial has to say so first.

        What has used up its own share cannot be written either, which is no fault of the disk.
        """
        with _lock:
            failure = _failing.setdefault(self, _Failure())
            failure.count += count
            failure.last, failure.why = time.time(), why
            failure.certain = failure.certain or certain

    def failed_again(self, why: str) -> None:
        """Note that a trial was not written either."""
        with _lock:
            if failure := _failing.get(self):
                failure.why, failure.certain = why, True

    def worked(self) -> None:
        """Note that something was written, or that nobody writes there any more."""
        if self in _failing:
            with _lock:
                _failing.pop(self, None)

    @contextlib.contextmanager
    def noting(self) -> Iterator[None]:
        """Note if the block fails, which writes a part."""
        try:
            yield
        except OSError as error:
            self.failed(error.strerror or type(error).__name__)
            raise

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Note what becomes of the block, which writes the last of it, durably."""
        with self.noting():
            yield
        self.worked()

    def try_again(self) -> None:
        """Write a small file, durably, and remove it. Blocks. Never raises."""
        if self._folder is None:
            return
        name = f".trial-{secrets.token_hex(8)}.new"
        try:
            _write_trial(self._folder, name)
        except OSError as error:
            self.failed_again(error.strerror or type(error).__name__)
        else:
            self.worked()


def _write_trial(folder: Path | int, name: str) -> None:
    within = folder if isinstance(folder, int) else None
    path = name if isinstance(folder, int) else folder / name
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600, dir_fd=within)
    try:
        os.write(descriptor, _TRIAL)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
        os.unlink(path, dir_fd=within)


def try_again() -> None:
    """Try all that failed and has a folder. Blocks."""
    with _lock:
        places = list(_failing)
    for each in places:
        each.try_again()


def unwritten() -> tuple[str, ...]:
    """Return what could not be written, since when, how often and why, in words."""
    with _lock:
        found = [(place.name, failure) for place, failure in _failing.items() if failure.certain]
        return tuple(
            f"{name}: {each.count} failed since {_clock(each.since)}, the last at "
            f"{_clock(each.last)}: {each.why.rstrip('.')}"
            for name, each in sorted(found, key=lambda one: one[0])
        )


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
