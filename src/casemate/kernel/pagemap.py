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


class UnwatchedError(OSError):
    """Some of the range is not watched as `userfault.py` has it."""


class TooManyPagesError(OSError):
    """More pages were written than were asked for."""


class Scanner:
    """Asks for the written pages of one process, with buffers that are kept."""

    def __init__(self, descriptor: int) -> None:
        """Ask by an open pagemap, which stays its owner's."""
        self._descriptor = descriptor
        self._regions = ctypes.create_string_buffer(_MOST_REGIONS * _REGION.size)
        self._address = ctypes.addressof(self._regions)

    def written(self, start: int, end: int, most: int) -> list[tuple[int, int]]:
        """Return the runs of pages that were written in a range. Raises OSError.

        UnwatchedError if any of the range is not watched: then nobody knows what was written.
        TooManyPagesError for more than `most`.
        """
        found: list[tuple[int, int]] = []
        while start < end:
            argument = bytearray(
                _ARGUMENT.pack(
                    *(_ARGUMENT.size, _CHECK_WPASYNC, start, end, 0, self._address),
                    *(_MOST_REGIONS, most + 1, 0, _IS_WRITTEN, 0, _IS_WRITTEN),
                )
            )
            try:
                count = fcntl.ioctl(self._descriptor, _SCAN, argument)
            except PermissionError as error:
                raise UnwatchedError(errno.EPERM, f"{start:x}-{end:x} is not watched") from error
            for place in range(count):
                first, last, _ = _REGION.unpack_from(self._regions, place * _REGION.size)
                found.append((first, last))
                most -= (last - first) // PAGE
            if most < 0:
                raise TooManyPagesError(errno.E2BIG, "more pages were written than are taken")
            [walked] = _END.unpack_from(argument, 32)
            if walked <= start:
                raise UnwatchedError(errno.EIO, "the kernel did not say what it looked at")
            start = walked
        return found
