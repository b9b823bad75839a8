"""What memory a process really holds: of pages that several share, its part.

That is its Pss (smaps_rollup in Documentation/filesystems/proc.rst). The kernel walks all pages for
it: a third of a millisecond for a plain zygote, some milliseconds with large libraries.
"""

from __future__ import annotations

import os

_MOST_BYTES = 16 << 10
_KIB = 1024


def proportional_memory(pid: int) -> int:
    """Return the bytes that a process holds. Raises OSError if that cannot be read."""
    return _figure(f"/proc/{pid}/smaps_rollup", b"Pss") * _KIB


def zygote_memory(pid: int) -> int:
    """Return the bytes that a zygote holds, with its init, which ends with it. Raises OSError.

    With its only child, if it has one: at rest that is what it has forked ahead.
    """
    init = _figure(f"/proc/{pid}/status", b"PPid")
    return proportional_memory(pid) + proportional_memory(init) + _memory_of_child(pid)


def _memory_of_child(pid: int) -> int:
    """Return what the only child of a process holds; 0 if it has none, several, or one that ends.

    Also where the kernel does not list them.
    """
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as file:  # noqa: PTH123 - no object
            children = file.read(_MOST_BYTES).split()
        return proportional_memory(int(children[0])) if len(children) == 1 else 0
    except OSError:
        return 0


def _figure(path: str, wanted: bytes) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        table = os.read(descriptor, _MOST_BYTES)
    finally:
        os.close(descriptor)
    for line in table.splitlines():
        name, _, value = line.partition(b":")
        number = value.split()[:1]
        if name == wanted and number and number[0].isdigit():
            return int(number[0])
    raise OSError("the kernel does not tell the memory of a process")
