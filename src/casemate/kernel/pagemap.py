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
"""That are asked for at once. The kernel gathers as many, and where it is asked for more begins
anew: of several such walks it says only up to where the last but one has come (do_pagemap_scan in
fs/proc/task_mmu.c sets walk_end where a walk breaks off, and not where the next one is through)."""
_PLACE = struct.Struct("=Q")
_START, _WALKED = 16, 32
"""Where start and walk_end are: from where the kernel is to look, and up to where it has."""
_FOUND = ctypes.create_string_buffer(_MOST_REGIONS * _REGION.size)
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

    __slots__ = ("_argument", "_descriptor", "_end", "_last", "_most", "_runs", "_start")

    def __init__(self, scanner: Scanner, ranges: Sequence[tuple[int, int]], most: int) -> None:
        """Ask by a scanner, for `most` pages of ranges, which are in order."""
        self._descriptor = scanner.descriptor
        self._most = most
        self._start, self._end = ranges[0][0], ranges[-1][1]
        self._argument = bytearray(
            _ARGUMENT.pack(
                *(_ARGUMENT.size, 0, self._start, self._end, 0, _FOUND_AT, _MOST_REGIONS),
                *(most + 1, 0, _IS_WATCHED | _IS_WRITTEN, 0, _IS_WRITTEN),
            )
        )
        self._last = b""
        self._runs: list[tuple[int, int]] = []

    def written(self) -> list[tuple[int, int]]:
        """Return the runs of pages that were written: the same list where they are the same.

        Raises OSError, TooManyPagesError for more than `most`.
        """
        found, start = b"", self._start
        while start < self._end:
            if len(found) > self._most * _REGION.size:
                raise TooManyPagesError(errno.E2BIG, _TOO_MANY)
            part, start = self._found_from(start)
            found = found + part if found else part
        if found != self._last:
            runs = [(first, last) for first, last, _ in _REGION.iter_unpack(found)]
            if sum(last - first for first, last in runs) > self._most * PAGE:
                raise TooManyPagesError(errno.E2BIG, _TOO_MANY)
            self._last, self._runs = found, runs
        return self._runs

    def _found_from(self, start: int) -> tuple[bytes, int]:
        """Return regions from there on, and up to where the kernel has looked."""
        _PLACE.pack_into(self._argument, _START, start)
        count = fcntl.ioctl(self._descriptor, _SCAN, self._argument)
        [walked] = _PLACE.unpack_from(self._argument, _WALKED)
        if walked <= start:
            raise UnwatchedError(errno.EIO, "the kernel did not say what it looked at")
        if walked < self._end and count < _MOST_REGIONS:  # it met the most pages that it may tell
            raise TooManyPagesError(errno.E2BIG, _TOO_MANY)
        return bytes(_FOUND_VIEW[: count * _REGION.size]), walked


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
            [walked] = _PLACE.unpack_from(argument, _WALKED)
            if walked <= start:
                raise UnwatchedError(errno.EIO, "the kernel did not say what it looked at")
            start = walked
        return found
