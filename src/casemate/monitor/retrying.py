"""What is brought to a place outside until it is taken: how long is waited, and what is said."""

from __future__ import annotations

import logging
from random import SystemRandom

from casemate.child.restart import pause_after
from casemate.monitor.errors import BusyError
from casemate.monitor.outlet import said

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
_draw = SystemRandom().random
_log = logging.getLogger("casemate.monitor")


class Retried:
    """One kind of what is brought to one place: how its attempts went."""

    def __init__(self, what: str, name: str) -> None:
        """Bring `what` to the place of this name."""
        self.name = name
        self._what = what
        self._failures = 0
        """In a row."""
        self.problem = ""
        """Why it does not arrive; empty: it does."""

    def _failed(self, error: Exception, why: str = "") -> None:
        """Keep why an attempt failed; the first in a row is logged."""
        self.problem = why + said(error)
        if not self._failures:
            _log.error("%s do not arrive at %s: %s", self._what, self.name, self.problem)
        self._failures += 1

    def _worked(self) -> None:
        if self._failures:
            _log.info("%s arrive at %s again", self._what, self.name)
        self._answered("")

    def _answered(self, problem: str) -> None:
        """Begin to count anew: there was an answer, if not the one that was hoped for."""
        self._failures, self.problem = 0, problem

    def _pause(self, error: Exception | None = None) -> float:
        """Return how long to wait before the next attempt: as long as an error asks, or drawn."""
        asked = error.seconds if isinstance(error, BusyError) else 0.0
        return asked or pause_after(max(1, self._failures), FIRST_PAUSE, LONGEST_PAUSE, _draw())
