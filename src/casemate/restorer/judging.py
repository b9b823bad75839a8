"""Which flagged calls leave nothing behind in the form in which they are made.

The filter stops an instance at them because it cannot tell: whether memory is that of the
snapshot, whether a message carries descriptors. Here their arguments are seen, in registers that
cannot change before the call is made, as who makes it is stopped. What is in memory cannot either
as long as there is no other thread (`threads.py`). Whatever is not named here, or not understood,
is flagged.

*New* memory is what overlaps no mapping of the snapshot, be it one that can be written or not. It
is unmapped before the instance is used again (`repairing.py`), and nothing of it stays then: its
content, its rights, the advice on it and what it is a mapping of go with it.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence

from casemate.kernel import machines
from casemate.kernel.flagging import NEW_MEMORY, PRIVATE, PROTECTIONS
from casemate.kernel.pagemap import PAGE
from casemate.kernel.tracing import INT, General

Read = Callable[[int, int], bytes]
"""Reads of the memory of the instance: where, how much. Raises OSError, also while another thread
could write there."""
_END = 1 << 47
"""Of what a process can map."""
_KEPT = 4
"""The first descriptor that an instance does not keep."""
_TYPE = 0xF
_FIXED, _FIXED_NOREPLACE = 0x10, 0x100000
_MAP_FLAGS = _TYPE | _FIXED | _FIXED_NOREPLACE | NEW_MEMORY
"""None that locks memory or grows."""
_MAY_MOVE, _MOVE_FIXED = 1, 2
_ADVICE = frozenset((0, 1, 2, 3, 4, 8, 14, 15, 16, 17))
"""NORMAL, RANDOM, SEQUENTIAL, WILLNEED, DONTNEED, FREE, HUGEPAGE, NOHUGEPAGE, DONTDUMP and DODUMP.

Huge pages have the kernel look at the process from time to time, which only timing shows: memory
that is watched is left as it is.
"""
_HEADER_BYTES = 56
"""A struct msghdr of 64 bits."""
_CONTROL_SIZE = 40
"""Where it says how many bytes of control it has: descriptors are sent by those alone."""
_MOST_SIGNALS = 64


class Judge:
    """Knows where the memory of a snapshot is."""

    def __init__(self, mappings: Sequence[tuple[int, int]], heap: int, *, handled: int = 0) -> None:
        """Take all mappings of the snapshot, in order, and where its heap ended.

        `handled` has a bit for each signal that was handled or ignored, the lowest for the first.
        """
        self._starts = [start for start, _ in mappings]
        self._ends = [end for _, end in mappings]
        self._heap = heap
        self.remapped = False
        """Whether calls about memory were let pass: what is mapped may be another."""
        self.heap_moved = False
        """Whether the end of the heap may be another: no table of the kernel's tells exactly."""
        self._handled = handled
        self.signals: set[int] = set()
        """Those that had no handler, and may have one: it is taken away again."""
        calls = machines.X86_64.calls
        self._rules: dict[int, Callable[[General], bool]] = {
            calls["mmap"]: self._map,
            calls["munmap"]: lambda r: self.new(r.rdi, r.rsi),
            calls["mprotect"]: lambda r: r.rdx & ~PROTECTIONS == 0 and self.new(r.rdi, r.rsi),
            calls["madvise"]: lambda r: r.rdx & INT in _ADVICE and self.new(r.rdi, r.rsi),
            calls["mremap"]: self._move,
            calls["brk"]: self._grow,
        }
        self._handle = calls["rt_sigaction"]
        self._send = calls["sendmsg"]

    def passes(self, registers: General, read: Read) -> bool:
        """Tell whether the call that is about to be made leaves nothing behind."""
        rule = self._rules.get(registers.orig_rax)
        if rule is None:
            if registers.orig_rax == self._handle:
                return self._handles(registers)
            return registers.orig_rax == self._send and self._sends_bytes(registers, read)
        self.remapped = True
        return rule(registers)

    def new(self, start: int, size: int) -> bool:
        """Tell whether a range, rounded up to pages, overlaps no mapping of the snapshot."""
        if start % PAGE or not 0 < size <= _END or start >= _END:
            return False
        end = -(-(start + size) // PAGE) * PAGE
        if end > _END:
            return False
        # The first mapping that ends after the start of the range.
        place = bisect.bisect_right(self._ends, start)
        return place == len(self._starts) or self._starts[place] >= end

    def _map(self, registers: General) -> bool:
        """Private memory, or a file's to itself, where the kernel puts it or where it is new.

        Shared memory is flagged: it could be another's, and what is judged could be changed by it.
        A mapping keeps its file open; it is gone with it, and in /tmp the file is counted.
        """
        flags = registers.r10
        if flags & ~_MAP_FLAGS or flags & _TYPE != PRIVATE or registers.rdx & ~PROTECTIONS:
            return False
        if flags & (_FIXED | _FIXED_NOREPLACE):
            return self.new(registers.rdi, registers.rsi)
        # Without them the kernel takes a place where nothing is.
        return 0 < registers.rsi <= _END

    def _move(self, registers: General) -> bool:
        """New memory grown, shrunk or moved; where to, the kernel chooses where nothing is."""
        flags = registers.r10
        if flags & ~(_MAY_MOVE | _MOVE_FIXED) or not 0 < registers.rdx <= _END:
            return False
        if flags & _MOVE_FIXED and not self.new(registers.r8, registers.rdx):
            return False
        return self.new(registers.rdi, registers.rsi)

    def _grow(self, registers: General) -> bool:
        """Ask for the end of the heap, or let it grow. It is set back; what is below never left."""
        if registers.rdi == 0:
            return True
        self.heap_moved = True
        return registers.rdi >= self._heap

    def _handles(self, registers: General) -> bool:
        """A signal that had no handler: it gets none back. A signal that comes is flagged."""
        number = registers.rdi & INT
        if not 1 <= number <= _MOST_SIGNALS or self._handled >> (number - 1) & 1:
            return False
        self.signals.add(number)
        return True

    def _sends_bytes(self, registers: General, read: Read) -> bool:
        """Tell whether a message has no control, by a descriptor that is not kept.

        The header is in memory that nobody else can write: no thread, or it is not read; no child,
        nothing shared.
        """
        if registers.rdi & INT < _KEPT:
            return False
        try:
            header = read(registers.rsi, _HEADER_BYTES)
        except OSError:
            return False
        size = header[_CONTROL_SIZE : _CONTROL_SIZE + 8]
        return len(header) == _HEADER_BYTES and int.from_bytes(size, "little") == 0
