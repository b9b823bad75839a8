"""What time the database has. It decides for all nodes: leases, expiry, retention.

A change asks once in its transaction. A question goes by the time since this node was last told,
which a clock that somebody sets does not change.
"""

from __future__ import annotations

import time
from typing import Final

from casemate.data.errors import DataMediumError

MAX_DIFFERENCE: Final = 10.0
"""Seconds that a node's clock may differ from the database's: times of its own go there, too."""
ASK_AGAIN: Final = 5.0
"""Seconds that an answer holds for questions."""


class ClockError(DataMediumError):
    """The clocks of this node and of the database differ by more than is allowed."""


def require_same_time(told: float) -> None:
    """Raise ClockError if what the database has just said is not what this node's clock says."""
    difference = time.time() - told
    if abs(difference) > MAX_DIFFERENCE:
        way = "ahead of" if difference > 0 else "behind"
        raise ClockError(
            f"This node's clock is {abs(difference):.0f} s {way} the database's; at most "
            f"{MAX_DIFFERENCE:.0f} s are allowed.",
            next_step="Have both follow the same time servers.",
        )


class ServerClock:
    """The database's clock as one node knows it. Any thread may use it."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._told: tuple[float, float] | None = None
        """What the clock showed, and when by one that only goes forward."""

    def learn(self, told: float) -> float:
        """Take what the database has just said; return what time it is. Raises ClockError."""
        require_same_time(told)
        self._told = (told, _steady())
        return told

    def now(self) -> float | None:
        """Return what time it is; None if the database has to be asked."""
        if self._told is None:
            return None
        told, then = self._told
        passed = _steady() - then
        return told + passed if passed < ASK_AGAIN else None


def _steady() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
