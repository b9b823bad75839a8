"""A clock that somebody sets while a process runs: by how much, and what may be deleted by it.

Told from the time that passes by a clock that nobody sets and that goes on in a sleep. Of what was
set before the process began is known only when something was written last.
"""

from __future__ import annotations

import math
import threading
import time
from typing import ClassVar, Final, NamedTuple

LEAST_SECONDS: Final = 1.0
"""What a clock that is kept right gains or loses at once. What it drifts by counts together."""
BELIEVED_SECONDS: Final = 3600.0
"""After so long a clock that was set forward is believed: what cannot be undone goes by it then."""
LEAP_SECONDS: Final = 86_400.0
"""One that is ahead by so much or more is not: until the time by which it is has really passed, or
an operator says that it is right."""

STOPPED_SECONDS: Final = 30 * 86_400.0
"""A node may have been off for so long: a clock that is ahead by less then is believed as one that
was set."""
OFF_SECONDS: Final = 300.0
"""What the clocks of nodes that share their state may differ by."""


class Believed(NamedTuple):
    """What is believed of the clock, for a process that begins now."""

    off: float
    """By how much it is ahead of the one that nobody sets, as far as that is believed."""
    leap: float = 0.0
    """For how long the node that begins with that has not run."""
    ground: float = -math.inf
    """As `off`; by how much it was known to be: a leap is what it is ahead of that."""
    waited: float = 0.0
    """For how many seconds it has been as it is."""


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
    right again, or has been so for an hour, the time goes on as if nobody had set it. After a leap
    of a day or more it goes on so for as long as the leap was: then all of that has really passed.
    """

    first: ClassVar[Believed | None] = None
    """What those of this process believe that begin from now on; None: the clock as it is."""

    def __init__(self) -> None:
        """Believe the clock as it is, or what was given to `believe`."""
        self._seen = _off()
        first = Believed(self._seen) if self.first is None else self.first
        self._off, self._leap, ground, waited = first
        self._ground = max(self._off, ground)
        self._since = _steady() - waited
        self._lock = threading.Lock()

    def now(self) -> float:
        """Return Unix time: at most what the clock says."""
        with self._lock:
            self._look()
            return _steady() + self._off

    def _look(self) -> None:
        """Decide whether the clock may be used to delete: here, and nowhere else."""
        off, steady = _off(), _steady()
        if abs(off - self._seen) >= LEAST_SECONDS:
            self._since = steady
        self._seen = off
        quiet = steady - self._since
        if abs(off - self._ground) <= quiet:
            self._ground = off  # so long has really passed
        # Of what it is ahead of all that was known, not of what is believed: one that was set back,
        # or has begun without a battery, is soon right again; many steps of an hour are a leap.
        leaps = off - self._ground >= LEAP_SECONDS
        if off - self._off < LEAST_SECONDS or (quiet >= BELIEVED_SECONDS and not leaps):
            self._off = off

    def held(self) -> str:
        """Return why nothing is deleted by the clock as it is; empty: it is, or will be soon."""
        with self._lock:
            self._look()
            leap = self._seen - self._ground
            if leap < LEAP_SECONDS or self._off == self._seen:
                return ""
            days = leap / LEAP_SECONDS
            left = (leap - (_steady() - self._since)) / LEAP_SECONDS
            return (
                f"The clock is {days:.1f} days ahead of the last that was known. Nothing is "
                f"deleted by age until that has passed, in {left:.1f} days. Set it right; or, if "
                "it is right, start the node again with --accept-loss clock."
            )

    def running(self) -> float:
        """Return Unix time by what was set while the node ran: for what only has had its time.

        What waited while a node did not run, for days, is too old at once.
        """
        return min(time.time(), self.now() + self._leap)

    def believed(self) -> Believed:
        """Return what is believed of the clock, for `believe` in a process that is started now."""
        with self._lock:
            self._look()
            return Believed(self._off, self._leap, self._ground, _steady() - self._since)


def left_of(since: float, until: float, now: float) -> float:
    """Return for how many seconds what was begun for a time still holds; all are Unix times.

    Nothing of what was begun by a clock that was ahead and is set right since: it would hold for as
    long as that was ahead, years where that was so.
    """
    length = until - since
    if now < since - max(OFF_SECONDS, length):
        return 0.0
    return max(0.0, min(until - now, length))


def begin_as_of(written_at: float | None, waited: float | None = None) -> DeletingClock:
    """Have those who delete in this process begin with when something was written last; return one.

    If that is days ago the node was off, and the clock is believed after an hour; but a host that
    starts with one that is months ahead would have all that is kept be over. That is believed once
    so long has passed, and so is one that was held when the node ended, which has `waited` a part
    of that. If it is to come, the clock is behind, and will be set right.
    """
    if written_at is not None:
        leap, off = time.time() - written_at, written_at - _steady()
        if leap > LEAP_SECONDS:
            held = waited is not None or leap >= STOPPED_SECONDS
            believe(Believed(off, leap, off if held else _off(), waited or 0.0))
        elif leap < 0:
            believe(Believed(_off(), 0.0, off))
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
