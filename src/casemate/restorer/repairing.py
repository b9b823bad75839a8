"""Takes away what calls have left that can be taken away wholly: new memory, handlers of signals,
times of /tmp.

It is the instance itself that is made to do so, by system calls that are its own: whoever restores
it has no right to. Nothing rests on that they do what they should: all is compared afterwards.
"""

from __future__ import annotations

from casemate.kernel import machines, remote_memory
from casemate.kernel.process_files import ProcessFiles, lines_of, parse_maps
from casemate.restorer.ranges import without
from casemate.restorer.reasons import DiscardError, Reason
from casemate.restorer.snapshot import Snapshot
from casemate.restorer.tracee import Tracee

_MOST_RANGES = 64
"""That are unmapped for one call; each costs two stops, during which others wait."""
_HERE = (1 << 64) - 100
"""AT_FDCWD. The name is an absolute one."""
_ACTION_BYTES, _MASK_BYTES = 32, 8
"""Of a struct sigaction as the kernel has it, and of the mask in it."""
_BELOW_STACK = 8192
"""Where nothing is kept: far enough below what signal handlers and leaf functions use."""


def repair_memory(tracee: Tracee, snapshot: Snapshot, files: ProcessFiles) -> None:
    """Unmap what was not there at the snapshot. Raises DiscardError, OSError, ValueError.

    The end of the heap comes first: the kernel moves it back over its own memory alone.
    """
    calls = machines.X86_64.calls
    if tracee.make(snapshot.general, calls["brk"], snapshot.heap) != snapshot.heap:
        raise DiscardError(Reason.MEMORY_LAYOUT)
    # Most lines are those of the snapshot: to take them all apart costs more than all else here.
    lines = [line for line in lines_of(files.maps()) if line not in snapshot.lines]
    table = b"".join(line + b"\n" for line in lines)
    mapped = [(one.start, one.end) for one in parse_maps(table)] if lines else []
    ranges = without(mapped, snapshot.mappings)
    if len(ranges) > _MOST_RANGES:
        raise DiscardError(Reason.MEMORY_LAYOUT)
    for start, end in ranges:
        if tracee.make(snapshot.general, calls["munmap"], start, end - start) != 0:
            raise DiscardError(Reason.MEMORY_LAYOUT)


def take_handlers_away(tracee: Tracee, snapshot: Snapshot) -> None:
    """Have no handler for signals that had none. Raises DiscardError, OSError.

    The C library sets one as it starts its first thread. `status` tells that there is none: what
    else the kernel keeps of a signal is of no use without a handler, and is zero afterwards.
    """
    signals, place = snapshot.judge.signals, _place(snapshot)
    remote_memory.write(tracee.pid, [(place, place + _ACTION_BYTES)], bytearray(_ACTION_BYTES))
    call = machines.X86_64.calls["rt_sigaction"]
    for number in sorted(signals):
        if tracee.make(snapshot.general, call, number, place, 0, _MASK_BYTES) != 0:
            raise DiscardError(Reason.STATUS)
    signals.clear()


def _place(snapshot: Snapshot) -> int:
    """Return where an argument can stand for a moment: it is written over, as all is."""
    return (snapshot.general.rsp - _BELOW_STACK) & ~63


def renew_times(tracee: Tracee, snapshot: Snapshot) -> None:
    """Have the times of the root of /tmp be those of now. Raises DiscardError, OSError.

    What a call has set them to, or when it has used /tmp, is not found then. Who may write there
    may do this, and nobody can set back when an inode was changed. The name is for a moment in
    memory that is written over afterwards, as all that was written.
    """
    place = _place(snapshot)
    data = bytearray(b"/tmp\0")
    remote_memory.write(tracee.pid, [(place, place + len(data))], data)
    arguments = (_HERE, place, 0, 0)
    if tracee.make(snapshot.general, machines.X86_64.calls["utimensat"], *arguments) != 0:
        raise DiscardError(Reason.TMP)
