"""Finds which pages of a process were written (PAGEMAP_SCAN of /proc/PID/pagemap, Linux 6.7)."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import struct
from collections.abc import Sequence

PAGE = 4096
_SCAN = 0xC0606610
_ARGUMENT = struct.Struct("=12Q")
"""struct pm_scan_arg: size, flags, start, end, walk_end, vec, vec_len, max_pages,
category_inverted, category_mask, category_anyof_mask, return_mask."""
_REGION = struct.Struct("=3Q")
"""struct page_region: start, end, categories."""
_CHECK_WPASYNC = 1 << 1
_IS_WATCHED, _IS_WRITTEN = 1 << 0, 1 << 1
_MOST_REGIONS = 512
_MOST_FOUND = 4096
_END = struct.Struct("=Q")
_WALKED = 32
"""Where walk_end is: up to where the kernel has looked."""
_FOUND = ctypes.create_string_buffer(_MOST_FOUND * _REGION.size)
_FOUND_AT = ctypes.addressof(_FOUND)
_FOUND_VIEW = memoryview(_FOUND).cast("B")
"""Of the scans of all processes: one thread makes them, and takes what was found at once."""
_TOO_MANY = "more pages were written than are taken"


class UnwatchedError(OSError):
    """Some of the range is not watched as `userfault.py` has it."""


class TooManyPagesError(OSError):
    """More pages were written than were asked for."""


class SpanScan:
    """Asks for all written pages of many watched ranges at once, again and again.

    It skips what is not watched, of which `Scanner` says so: it costs a third, and sees less.
    """

    __slots__ = ("_argument", "_descriptor", "_end", "_last", "_most", "_runs")

    def __init__(self, scanner: Scanner, ranges: Sequence[tuple[int, int]], most: int) -> None:
        """Ask by a scanner, for `most` pages of ranges, which are in order."""
        self._descriptor = scanner.descriptor
        self._most = most
        self._end = ranges[-1][1]
        self._argument = bytearray(
            _ARGUMENT.pack(
                *(_ARGUMENT.size, 0, ranges[0][0], self._end, 0, _FOUND_AT, _MOST_FOUND),
                *(most + 1, 0, _IS_WATCHED | _IS_WRITTEN, 0, _IS_WRITTEN),
            )
        )
        self._last = b""
        self._runs: list[tuple[int, int]] = []

    def written(self) -> list[tuple[int, int]]:
        """Return the runs of pages that were written: the same list where they are the same.

        Raises OSError, TooManyPagesError for more than `most`.
        """
        count = fcntl.ioctl(self._descriptor, _SCAN, self._argument)
        found = bytes(_FOUND_VIEW[: count * _REGION.size])
        if _END.unpack_from(self._argument, _WALKED)[0] != self._end:
            raise TooManyPagesError(errno.E2BIG, _TOO_MANY)
        if found != self._last:
            runs = [(first, last) for first, last, _ in _REGION.iter_unpack(found)]
            if sum(last - first for first, last in runs) > self._most * PAGE:
                raise TooManyPagesError(errno.E2BIG, _TOO_MANY)
            self._last, self._runs = found, runs
        return self._runs


class Scanner:
    """Asks for the written pages of one process, with buffers that are kept."""

    def __init__(self, descriptor: int) -> None:
        """Ask by an open pagemap, which stays its owner's."""
        self.descriptor = descriptor
        buffer = ctypes.create_string_buffer(_MOST_REGIONS * _REGION.size)
        self._address = ctypes.addressof(buffer)
        self._regions = memoryview(buffer).cast("B")

    def _asked(self, start: int, end: int, most: int) -> bytes:
        return _ARGUMENT.pack(
            *(_ARGUMENT.size, _CHECK_WPASYNC, start, end, 0, self._address),
            *(_MOST_REGIONS, most + 1, 0, _IS_WRITTEN, 0, _IS_WRITTEN),
        )

    def written(self, start: int, end: int, most: int) -> list[tuple[int, int]]:
        """Return the runs of pages that were written in a range. Raises OSError.

        UnwatchedError if any of the range is not watched: then nobody knows what was written.
        TooManyPagesError for more than `most`.
        """
        found: list[tuple[int, int]] = []
        while start < end:
            argument = bytearray(self._asked(start, end, most))
            try:
                count = fcntl.ioctl(self.descriptor, _SCAN, argument)
            except PermissionError as error:
                raise UnwatchedError(errno.EPERM, f"{start:x}-{end:x} is not watched") from error
            for place in range(count):
                first, last, _ = _REGION.unpack_from(self._regions, place * _REGION.size)
                found.append((first, last))
                most -= (last - first) // PAGE
            if most < 0:
                raise TooManyPagesError(errno.E2BIG, _TOO_MANY)
            [walked] = _END.unpack_from(argument, _WALKED)
            if walked <= start:
                raise UnwatchedError(errno.EIO, "the kernel did not say what it looked at")
            start = walked
        return found
