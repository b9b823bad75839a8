"""What the guard's hooks cost a call: processor time inside them, in calls that are sampled.

Told by the process whose code is watched: an estimate for people, nothing that is billed by.
"""

from __future__ import annotations

from _thread import get_ident
from time import thread_time_ns


class Sample:
    """The time inside hooks of one call, from the outermost entry to its exit.

    Entered and left in the hooks' own frames: what is between a hook and the code that it watches
    is looked at by how deep it stands.
    """

    __slots__ = ("_began", "_nanoseconds", "running")

    def __init__(self) -> None:
        """Take none."""
        self.running = False
        """True while one is taken: all that other calls look at."""
        self._nanoseconds = 0
        self._began: dict[int, int] = {}
        """By threads that are inside a hook."""

    def begin(self) -> None:
        """A call begins that is sampled."""
        self._began.clear()
        self._nanoseconds = 0
        self.running = True

    def end(self) -> int:
        """The call is over; return the microseconds."""
        self.running = False
        return self._nanoseconds // 1000

    def enter(self) -> bool:
        """Begin to count in a hook; False in one that was called from inside another."""
        thread = get_ident()
        if thread in self._began:
            return False
        self._began[thread] = thread_time_ns()
        return True

    def leave(self) -> None:
        """Count up to now; to be called where `enter` was true."""
        began = self._began.pop(get_ident(), None)
        if began is not None:
            self._nanoseconds += thread_time_ns() - began


SAMPLE = Sample()
"""Of this process: hooks stay in place from one guard to the next."""
