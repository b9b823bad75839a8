"""Why a node takes no calls at a moment, though it is there: it is drained, or knows too little.

Asked before each call, so it is told by clocks that go on while the process is stopped, and never
by a task that would have to run first.
"""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]
LEAVE_SECONDS = 15.0
"""For so long a node that is drained answers the calls that still come, and says that it is not
ready: whoever spreads calls over nodes has asked by then. It leases nothing from the start."""


def monotonic() -> float:
    """Return seconds of a clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Standing:
    """One per node, on its event loop. A node alone has one as well: it always takes calls."""

    def __init__(self, max_stale: float | None = None, clock: Clock = monotonic) -> None:
        """Without `max_stale`: what is in memory is what is stored, however old."""
        self._max_stale = max_stale
        self._clock = clock
        self._known_at = clock()
        self._lost = ""
        self._drained_at: float | None = None
        self._clock_off = 0.0
        self.on_rest: Callable[[], None] = lambda: None
        """Called once the node is drained, or is not itself any more."""
        self.on_return: Callable[[], None] = lambda: None
        """Called once the node takes calls again."""

    # -- what is asked ---------------------------------------------------------------------------

    @property
    def draining(self) -> bool:
        """It is to take no new calls."""
        return self._drained_at is not None

    @property
    def age(self) -> float:
        """Seconds for which changes that other nodes have made may not be known here."""
        return 0.0 if self._max_stale is None else max(0.0, self._clock() - self._known_at)

    def stale(self) -> str:
        """Return why nothing is to be decided on what is in memory; empty: it may be."""
        if self._lost:
            return self._lost
        if self._clock_off:
            return f"The node's clock is {self._clock_off:+.0f} s off that of the control store."
        if self._max_stale is None or self.age <= self._max_stale:
            return ""
        return (
            f"What the node knows of accounts, policies and functions was read {self.age:.0f} s "
            f"ago, which is more than {self._max_stale:g} s: it cannot read the control store."
        )

    def refusal(self) -> str:
        """Return why no event is leased and nobody should send calls here; empty: all is well."""
        return self.stale() or ("The node is drained." if self.draining else "")

    def calls_refusal(self) -> str:
        """Return why no call is taken; empty: they are, also for a while after it was drained."""
        if self._drained_at is not None and self._clock() - self._drained_at < LEAVE_SECONDS:
            return self.stale()
        return self.refusal()

    # -- what is told ----------------------------------------------------------------------------

    def now(self) -> float:
        """Return the time to give to `known`."""
        return self._clock()

    def known(self, at: float) -> None:
        """All that others had changed by then is in memory."""
        with _Told(self):
            self._known_at = max(self._known_at, at)

    def drain(self, wanted: bool) -> None:
        """Take no new calls any more, or take them again."""
        with _Told(self):
            self._drained_at = self._clock() if wanted else None
        if wanted:
            self.on_rest()

    def doubt_clock(self, off: float) -> None:
        """Take no calls while the clock is so many seconds off; 0: it is right.

        Whether a token is over, and an event is due, would be told wrongly.
        """
        with _Told(self):
            self._clock_off = off

    def lose(self, reason: str) -> None:
        """Take no calls until it is started anew: another one is this node now."""
        self._lost = reason
        self.on_rest()


class _Told:
    """Tells of it if calls are taken afterwards that were not before."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    def __enter__(self) -> None:
        self._refused = bool(self._standing.refusal())

    def __exit__(self, *_: object) -> None:
        if self._refused and not self._standing.refusal():
            self._standing.on_return()
