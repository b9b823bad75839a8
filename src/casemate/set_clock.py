"""A clock that somebody sets while a process runs: by how much, and what may be deleted by it.

Told from the time that passes by a clock that nobody sets and that goes on in a sleep. Of what was
set before the process began is known only when something was written last.
"""

from __future__ import annotations

import threading
import time
from typing import ClassVar, Final

LEAST_SECONDS: Final = 1.0
"""What a clock that is kept right gains or loses at once. What it drifts by counts together."""
BELIEVED_SECONDS: Final = 3600.0
"""After so long a clock that was set forward is believed: what cannot be undone goes by it then."""
LEAP_SECONDS: Final = 86_400.0
"""A node that has not run for longer waits as long, before it deletes."""

OFF_SECONDS: Final = 300.0
"""What the clocks of nodes that share their state may differ by."""

Believed = tuple[float, float]
"""By how much the clock is ahead of the one that nobody sets, and for how long the node that begins
with that has not run."""


class SetClock:
    """Tells by how much the clock was set since that was taken note of. Of one thread."""

    def __init__(self, since: SetClock | None = None) -> None:
        """Begin with the clock as it is, or with what `since` has taken note of last."""
        self._off: float = _off() if since is None else since._off
        self._begun: float = _steady() if since is None else since._begun

    def step(self) -> tuple[float, float]:
        """Return by how many seconds it was set, 0 for next to nothing, and what `note` takes."""
        off = _off()
        by = off - self._off
        return (by if abs(by) >= LEAST_SECONDS else 0.0), off

    def known(self) -> tuple[float, float]:
        """Return when it began and what time it is, both by the clock as it was noted last."""
        return self._begun + self._off, _steady() + self._off

    def note(self, off: float) -> None:
        """Tell of what was told no more."""
        self._off = off


class DeletingClock:
    """The time by which is deleted for good what is over. Any thread.

    A clock that is set forward by mistake has all that is kept for a time be over; until it is set
    right again, or has been so for an hour, the time goes on as if nobody had set it.
    """

    first: ClassVar[Believed | None] = None
    """What those of this process believe that begin from now on; None: the clock as it is."""

    def __init__(self) -> None:
        """Believe the clock as it is, or what was given to `believe`."""
        self._seen = _off()
        self._off, self._leap = (self._seen, 0.0) if self.first is None else self.first
        self._since = _steady()
        self._lock = threading.Lock()

    def now(self) -> float:
        """Return Unix time: at most what the clock says."""
        with self._lock:
            off, steady = _off(), _steady()
            if abs(off - self._seen) >= LEAST_SECONDS:
                self._since = steady
            self._seen = off
            if off - self._off < LEAST_SECONDS or steady - self._since >= BELIEVED_SECONDS:
                self._off = off
            return steady + self._off

    def running(self) -> float:
        """Return Unix time by what was set while the node ran: for what only has had its time.

        What waited while a node did not run, for days, is too old at once.
        """
        return min(time.time(), self.now() + self._leap)

    def believed(self) -> Believed:
        """Return what is believed of the clock, for `believe` in a process that is started now."""
        self.now()
        return self._off, self._leap


def left_of(since: float, until: float, now: float) -> float:
    """Return for how many seconds what was begun for a time still holds; all are Unix times.

    Nothing of what was begun by a clock that was ahead and is set right since: it would hold for as
    long as that was ahead, years where that was so.
    """
    length = until - since
    if now < since - max(OFF_SECONDS, length):
        return 0.0
    return max(0.0, min(until - now, length))


def begin_as_of(written_at: float | None) -> DeletingClock:
    """Have those who delete in this process begin with when something was written last; return one.

    If that is days ago: a host that starts with a clock that is months ahead would have all that is
    kept be over. As with one that is set, it is believed after an hour.
    """
    if written_at is not None and (leap := time.time() - written_at) > LEAP_SECONDS:
        believe((written_at - _steady(), leap))
    return DeletingClock()


def believe(found: Believed | None) -> None:
    """Have those who delete in this process begin with what another one believes of the clock.

    A process that is started again while the clock is wrong would believe it else.
    """
    DeletingClock.first = found


def _steady() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _off() -> float:
    return time.time() - _steady()
