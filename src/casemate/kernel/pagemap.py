"""Finds which pages of a process were written (PAGEMAP_SCAN of /proc/PID/pagemap, Linux 6.7)."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import struct

PAGE = 4096
_SCAN = 0xC0606610
_ARGUMENT = struct.Struct("=12Q")
"""struct pm_scan_arg: size, flags, start, end, walk_end, vec, vec_len, max_pages,
category_inverted, category_mask, category_anyof_mask, return_mask."""
_REGION = struct.Struct("=3Q")
"""struct page_region: start, end, categories."""
_CHECK_WPASYNC = 1 << 1
_IS_WRITTEN = 1 << 1
_MOST_REGIONS = 512
_END = struct.Struct("=Q")
_WALKED = 32
"""Where walk_end is: up to where the kernel has looked."""


class UnwatchedError(OSError):
    """Some of the range is not watched as `userfault.py` has it."""


class TooManyPagesError(OSError):
    """More pages were written than were asked for."""


class PreparedScan:
    """Asks for the written pages of the same range again and again, without making anything."""

    __slots__ = ("_argument", "_descriptor", "_end", "_regions", "_scanner", "_start")

    def __init__(self, scanner: Scanner, start: int, end: int, most: int) -> None:
        """Ask by a scanner, for `most` pages of a range."""
        self._scanner = scanner
        self._start, self._end = start, end
        self._descriptor, self._regions = scanner.descriptor, scanner.regions
        self._argument = bytearray(scanner.argument(start, end, most))

    def written(self, most: int) -> list[tuple[int, int]]:
        """Return the runs of pages that were written. Raises OSError, as `Scanner.written`."""
        try:
            count = fcntl.ioctl(self._descriptor, _SCAN, self._argument)
        except PermissionError as error:
            what = f"{self._start:x}-{self._end:x} is not watched"
            raise UnwatchedError(errno.EPERM, what) from error
        if _END.unpack_from(self._argument, _WALKED)[0] != self._end:
            # More than there is room for; or more than are taken, which is told then.
            return self._scanner.written(self._start, self._end, most)
        if not count:
            return []
        found = _REGION.iter_unpack(self._regions[: count * _REGION.size])
        return [(first, last) for first, last, _ in found]


class Scanner:
    """Asks for the written pages of one process, with buffers that are kept."""

    def __init__(self, descriptor: int) -> None:
        """Ask by an open pagemap, which stays its owner's."""
        self.descriptor = descriptor
        buffer = ctypes.create_string_buffer(_MOST_REGIONS * _REGION.size)
        self._address = ctypes.addressof(buffer)
        self.regions = memoryview(buffer).cast("B")
        """What the kernel has found."""

    def argument(self, start: int, end: int, most: int) -> bytes:
        """Return what the kernel is asked with."""
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
            argument = bytearray(self.argument(start, end, most))
            try:
                count = fcntl.ioctl(self.descriptor, _SCAN, argument)
            except PermissionError as error:
                raise UnwatchedError(errno.EPERM, f"{start:x}-{end:x} is not watched") from error
            for place in range(count):
                first, last, _ = _REGION.unpack_from(self.regions, place * _REGION.size)
                found.append((first, last))
                most -= (last - first) // PAGE
            if most < 0:
                raise TooManyPagesError(errno.E2BIG, "more pages were written than are taken")
            [walked] = _END.unpack_from(argument, _WALKED)
            if walked <= start:
                raise UnwatchedError(errno.EIO, "the kernel did not say what it looked at")
            start = walked
        return found
