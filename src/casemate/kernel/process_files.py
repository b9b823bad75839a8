"""What the kernel tells of another process in /proc/PID, by descriptors that are kept open.

Each is of one process and never of another that gets its id later. They are opened by whoever may
(the files of a process that is not dumpable are root's), and read by whoever has them.
"""

from __future__ import annotations

import errno
import functools
import operator
import os
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

KEPT = (0, 1, 2, 3)
"""Descriptors that a waiting instance has: standard input and output, and its socket."""
_NAMES = (
    "maps",
    "pagemap",
    "status",
    "children",
    "limits",
    "smaps",
    "stat",
    "fd",
    *(f"fdinfo/{number}" for number in KEPT),
)
_MOST_MAPS, _MOST_SMAPS, _MOST_STATUS, _MOST_SMALL = 1 << 20, 16 << 20, 16384, 4096
_CHILDREN = re.compile(rb"(?:[0-9]{1,10} )*")
_MAPPING = re.compile(
    rb"([0-9a-f]{1,16})-([0-9a-f]{1,16}) [r-]([w-])[x-]([ps]) "
    rb"[0-9a-f]{1,16} ([0-9a-f]{1,8}):([0-9a-f]{1,8}) [0-9]{1,20} *([^\n]*)\n"
)
_PASSING = frozenset(
    b"VmPeak VmHWM VmRSS RssAnon RssFile RssShmem VmPTE VmSwap voluntary_ctxt_switches "
    b"nonvoluntary_ctxt_switches TracerPid".split()
)
"""Lines of `status` that differ although nothing has changed but counts: how much of its memory is
there, the most that it and its page tables ever were, how often it waited, who traces it."""


_WAITED, _WAITED_TOO = b"\nvoluntary_ctxt_switches:", b"nonvoluntary_ctxt_switches:"
"""Two lines of `status`, one after the other, of which every call changes one."""


class Mapping(NamedTuple):
    """A line of `maps`."""

    start: int
    end: int
    writable: bool
    shared: bool
    device: int
    """Of its file; 0 without one."""


def open_process(pid: int) -> list[int]:
    """Return the descriptors of `ProcessFiles`. Raises OSError."""
    opened = [os.open(f"/proc/{pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)]
    try:
        for name in _NAMES:
            path = f"task/{pid}/children" if name == "children" else name
            opened.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=opened[0]))
    except BaseException:
        for descriptor in opened:
            os.close(descriptor)
        raise
    return opened


def _at_most(descriptor: int, most: int) -> bytes:
    """Read a file of the kernel's from its start; what is longer is an error."""
    parts: list[bytes] = []
    size = 0
    os.lseek(descriptor, 0, os.SEEK_SET)
    while part := os.read(descriptor, min(most, 65536)):
        parts.append(part)
        size += len(part)
        if size > most:
            raise OSError(errno.EFBIG, "the kernel tells more than is read")
    return b"".join(parts)


class ProcessFiles:
    """Reads them. Every method raises OSError, also when the process has ended."""

    COUNT = 1 + len(_NAMES)

    def __init__(self, descriptors: Sequence[int]) -> None:
        """Take over what `open_process` has returned."""
        if len(descriptors) != self.COUNT:
            raise ValueError("the files of a process are of a fixed number")
        self._all = tuple(descriptors)
        self._folder, self._maps, self.pagemap, self._status = self._all[:4]
        self._children, self._limits, self._smaps, self._stat = self._all[4:8]
        self._opened, *self._kept = self._all[8:]
        self._status_told: tuple[bytes, bytes] | None = None
        self._status_was: tuple[bytes, ...] = ()
        self._status_lines = 0
        self._lasting: Callable[[list[bytes]], tuple[bytes, ...]] = tuple

    def close(self) -> None:
        """Close all of them; a second time changes nothing."""
        for descriptor in self._all:
            os.close(descriptor)
        self._all = ()

    def maps(self) -> bytes:
        """Return the table of mappings as it is."""
        table = _at_most(self._maps, _MOST_MAPS)
        if not table:
            raise ProcessLookupError(errno.ESRCH, "the process has no memory any more")
        return table

    def status(self) -> tuple[bytes, ...]:
        """Return the lines that stay as they are as long as nobody changes anything."""
        text = os.pread(self._status, _MOST_STATUS, 0)
        # To take it apart costs as much as to read it, and mostly it says what it said before.
        told = _but_for_waiting(text)
        if told is None or told != self._status_told:
            self._status_was = self._status_lasting(text)
            self._status_told = told
        return self._status_was

    def _status_lasting(self, text: bytes) -> tuple[bytes, ...]:
        lines = text.split(b"\n")
        if len(lines) < 20 or lines[-1]:
            raise OSError(errno.EIO, "the status of the process cannot be read")
        if len(lines) != self._status_lines:
            names = [line.partition(b":")[0] for line in lines]
            self._lasting = operator.itemgetter(
                *(place for place, name in enumerate(names) if name not in _PASSING)
            )
            self._status_lines = len(lines)
        # The kernel writes the same lines in the same order as long as it runs. Were another one
        # in the place of one that is left out, then one that is compared would be missing.
        return self._lasting(lines)

    def descriptors(self) -> int:
        """Return how many descriptors are open (Linux 6.2)."""
        return os.fstat(self._opened).st_size

    def kept(self) -> tuple[bytes, ...]:
        """Return position, flags and locks of each of the descriptors in KEPT; empty if closed."""
        told: list[bytes] = []
        for descriptor in self._kept:
            try:
                told.append(os.pread(descriptor, _MOST_SMALL, 0))
            except FileNotFoundError:
                told.append(b"")
        return tuple(told)

    def limits(self) -> bytes:
        """Return its resource limits."""
        return os.pread(self._limits, _MOST_SMALL, 0)

    def children(self) -> tuple[int, ...]:
        """Return the ids of its children."""
        text = os.pread(self._children, _MOST_SMALL, 0)
        if not _CHILDREN.fullmatch(text):
            raise OSError(errno.EIO, "the children of the process cannot be read")
        return tuple(int(one) for one in text.split())

    def faults(self) -> tuple[bytes, ...]:
        """Return how many of its accesses to memory the kernel had to see to, in decimal.

        Its own and those of children that it has waited for, with and without a disk.
        """
        # Its name comes before, in parentheses, and may have any in it.
        fields = os.pread(self._stat, _MOST_SMALL, 0).rpartition(b") ")[2].split(b" ", 11)
        counts = tuple(fields[7:11])
        if len(fields) != 12 or not all(map(bytes.isdigit, counts)):
            raise OSError(errno.EIO, "the faults of the process cannot be read")
        return counts

    def flags_of(self, start: int) -> tuple[bytes, ...]:
        """Return the flags of the mapping that starts there (VmFlags of smaps)."""
        table = _at_most(self._smaps, _MOST_SMAPS)
        head = re.compile(
            rb"^%08x-[0-9a-f]+ .*\n(?:[A-Z][^\n]*\n)*?VmFlags: ([a-z0-9 ]+)\n" % start, re.M
        )
        match = head.search(table)
        return tuple(match[1].split()) if match else ()

    def folder(self) -> str:
        """Return its working directory, as the kernel names it to the reader."""
        return os.readlink("cwd", dir_fd=self._folder)


def _but_for_waiting(text: bytes) -> tuple[bytes, bytes] | None:
    """Return what stands before and after the lines about waiting; None if they are not there."""
    before, _, rest = text.partition(_WAITED)
    waited, _, rest = rest.partition(b"\n")
    again, _, after = rest.partition(b"\n")
    if not waited.strip().isdigit() or not again.startswith(_WAITED_TOO):
        return None
    return before, after


@functools.cache
def memory_device() -> int:
    """Return the device that the kernel shows for memory that has no file (shmem)."""
    descriptor = os.memfd_create("casemate")
    try:
        return os.fstat(descriptor).st_dev
    finally:
        os.close(descriptor)


def lines_of(table: bytes) -> list[bytes]:
    """Return the lines of a table of mappings, each without its end: no name has one in it."""
    lines = table.split(b"\n")
    if lines.pop():
        raise ValueError("the table of mappings is of an unknown form")
    return lines


def parse_maps(table: bytes) -> list[Mapping]:
    """Return what a table of mappings says. Raises ValueError if it is of another form."""
    found: list[Mapping] = []
    place = 0
    while place < len(table):
        match = _MAPPING.match(table, place)
        if match is None:
            raise ValueError("the table of mappings is of an unknown form")
        start, end, writable, shared, major, minor, _name = match.groups()
        device = os.makedev(int(major, 16), int(minor, 16))
        found.append(
            Mapping(int(start, 16), int(end, 16), writable == b"w", shared == b"s", device)
        )
        place = match.end()
    if not found:
        raise ValueError("the table of mappings is empty")
    return found
