"""Which files lead to standard output and error, whatever the code has them by."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from ..bound_methods import FILES
from ..core import Guard

_STANDARD = (1, 2)
_OPENING = ("fdopen", "closefd", "textiowrapper", "bufferedwriter", "getwriter", "dup", "dup2")
"""Words of code that opens a file over a descriptor, or over another file."""
_PATHS = frozenset(
    f"{folder}{name}"
    for folder, names in (
        ("/dev/", ("stdout", "stderr")),
        ("/dev/fd/", "12"),
        ("/proc/self/fd/", "12"),
    )
    for name in names
)
_MAX_LAYERS = 4


def look_for_descriptors(guard: Guard) -> None:
    """Note whether the code opens files over descriptors: then all that it writes is announced."""
    known = guard.constants
    if any(map(known.holds_word, _OPENING)) or any(map(known.holds, _PATHS)):
        guard.provenance.descriptors = True


def opened(guard: Guard, path: object) -> None:
    """Take in that the code opens a file: by a descriptor, or one of the system's."""
    if not guard.provenance.descriptors and of_path(path) is not None:
        guard.provenance.descriptors = True


def of_path(path: object) -> object:
    """Return the standard stream that a path or a descriptor leads to, None for anything else."""
    if isinstance(path, int):
        return of_descriptor(path, seldom=True)
    return sys.stdout if isinstance(path, str) and path in _PATHS else None


def of_descriptor(number: object, *, seldom: bool) -> object:
    """Return the standard stream of a descriptor; of a copy of one as well where it is `seldom`."""
    if number == 1:
        return sys.stdout
    if number == 2:
        return sys.stderr
    if not seldom or not isinstance(number, int):
        return None
    with contextlib.suppress(OSError, OverflowError):
        given = os.fstat(number)
        for standard in _STANDARD:
            if os.path.samestat(given, os.fstat(standard)):
                return sys.stdout if standard == 1 else sys.stderr
    return None


def of_file(guard: Guard, file: object) -> object:
    """Return the standard stream that a file is, or writes to; None for anything else."""
    if file is None:
        return None
    for stream in standard():
        if file is stream or file is getattr(stream, "buffer", None):
            return stream
    if not guard.provenance.descriptors and type(file).__name__ != "FileIO":
        return None
    for _ in range(_MAX_LAYERS):
        if type(file) in FILES:
            with contextlib.suppress(OSError, ValueError):  # closed, or detached
                return of_descriptor(file.fileno(), seldom=True)  # type: ignore[attr-defined]
            return None
        file = vars(file).get("stream") if hasattr(file, "__dict__") else None  # of a codec
    return None


def standard() -> Sequence[object]:
    """Return the standard streams; code may have put others in their place."""
    return sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__
