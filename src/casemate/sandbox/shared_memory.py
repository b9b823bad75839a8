"""Looks from outside for memory of a zygote that its instances would share instead of copy.

A process without /proc cannot see its own mappings. What is read here is a table of the kernel's
(proc_pid_maps(5)); the names in it can be the function's, and are shown but never used.
"""

from __future__ import annotations

import os
import re

from casemate.kernel.process_files import memory_device
from casemate.shown_text import printable

_MOST_BYTES = 16 << 20
"""Of the table: 65,530 mappings (vm.max_map_count) of at most 200 characters each, and some."""
_MOST_SHOWN = 100
_READ_BYTES = 1 << 20
_SHARED = re.compile(
    rb"^([0-9a-f]+)-([0-9a-f]+) [r-]([w-])[x-]s [0-9a-f]+ ([0-9a-f]+):([0-9a-f]+) [0-9]+ *(.*)$",
    re.MULTILINE,
)


def shared_mappings(pid: int, tmpfs: int) -> str:
    """Say which memory of a process its forks would share with it; empty if there is none.

    `tmpfs` is the device of its /tmp. A file on any other is of a read-only mount: mapped without
    the right to write it can be shared. Raises OSError if the table cannot be read, or is empty,
    as for a process that has ended.
    """
    table = _table(pid)
    if not table:
        raise OSError("the memory of the zygote cannot be examined")
    for match in _SHARED.finditer(table):
        start, end, writable, major, minor, name = match.groups()
        device = os.makedev(int(major, 16), int(minor, 16))
        if writable == b"w" or device in (tmpfs, memory_device()):
            size = int(end, 16) - int(start, 16)
            shown = name.decode("ascii", "replace")[:_MOST_SHOWN] or "no file"
            return f"{size} bytes of shared memory (mmap of {printable(shown)})"
    return ""


def _table(pid: int) -> bytes:
    parts: list[bytes] = []
    left = _MOST_BYTES
    with open(f"/proc/{pid}/maps", "rb", buffering=0) as file:  # noqa: PTH123
        while part := file.read(_READ_BYTES):
            parts.append(part)
            left -= len(part)
            if left < 0:
                raise OSError("the memory of the zygote has too many parts to be examined")
    return b"".join(parts)
