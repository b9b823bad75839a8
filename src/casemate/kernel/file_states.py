"""Whether many files are as they were, by all that the kernel says of each (fstatat(2)).

Of `os.stat` half is what Python makes of the answer. Here all answers of a folder are written into
one piece of memory, which is compared, as a whole, with what was there before. Whatever differs is
found so, when a file was read last (atime) as well; what it is the caller finds out from the same
answers.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterator, Sequence
from itertools import repeat

from .machines import AARCH64, X86_64, UnknownMachineError, current

_STATE = struct.Struct("=8xQ32xQ32xqqqq24x")
"""Of a struct stat: st_ino, st_size, st_mtim and st_ctim, where x86-64 and arm64 have them. It has
144 bytes, on arm64 128."""
_SECOND = 10**9
"""Of nanoseconds."""
_NO_FOLLOW = 0x100
"""AT_SYMLINK_NOFOLLOW."""


class FileStates:
    """Room for what is said of so many files of one folder. Of one thread at a time."""

    def __init__(self, most: int) -> None:
        """Make it. Raises AttributeError where the C library has no such function."""
        # Not with the interpreter's lock, which others want meanwhile.
        self._ask = ctypes.CDLL(None).fstatat
        self._said = bytearray(most * _STATE.size)
        room = (ctypes.c_char * len(self._said)).from_buffer(self._said)
        self._places = [ctypes.byref(room, _STATE.size * number) for number in range(most)]

    def read(self, folder: int, names: Sequence[bytes]) -> bool:
        """Ask of all names, seen from an open folder; False if one is not there."""
        said = map(self._ask, repeat(folder), names, self._places, repeat(_NO_FOLLOW))
        return not any(said)

    def are(self, known: bytes) -> bool:
        """Tell whether what was read begins with that."""
        return self._said.startswith(known)

    def first(self, count: int) -> bytes:
        """Return what was read of the first `count` names."""
        return bytes(self._said[: count * _STATE.size])

    def each(self, count: int) -> Iterator[tuple[int, int, int, int]]:
        """Give inode, size, and times of content and change in ns, of the first `count` names."""
        for inode, size, modified, m_ns, changed, c_ns in _STATE.iter_unpack(self.first(count)):
            yield inode, size, modified * _SECOND + m_ns, changed * _SECOND + c_ns


def file_states(most: int) -> FileStates | None:
    """Return room for so many; None where it is not known how much that is."""
    try:
        return FileStates(most) if current() in (X86_64, AARCH64) else None
    except (AttributeError, UnknownMachineError):  # glibc before 2.33
        return None
