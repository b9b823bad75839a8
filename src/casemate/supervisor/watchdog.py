"""Ends processes of a node that hang; whoever started them starts others."""

from __future__ import annotations

import time
from collections.abc import Callable

from casemate.child.heartbeat import SILENT_SECONDS, Pulse

_MOST_SECONDS = 1.0
"""What counts of the time between two looks at most: when this process was stopped, or the whole
machine slept, its children's silence says nothing."""


class Watchdog:
    """Feels pulses; see `look`."""

    def __init__(self, report: Callable[[str], None]) -> None:
        """Tell `report` of each process that is ended."""
        self._report = report
        self._watched: dict[str, tuple[Callable[[], Pulse | None], Callable[[], None]]] = {}
        self._looked_at = time.monotonic()

    def watch(self, name: str, pulse: Callable[[], Pulse | None], kill: Callable[[], None]) -> None:
        """Watch what `pulse` returns, in place of what was watched by that name before."""
        self._watched[name] = pulse, kill

    def look(self) -> None:
        """End what was silent for too long. Takes microseconds; to be called several times a
        second."""
        now = time.monotonic()
        elapsed = min(now - self._looked_at, _MOST_SECONDS)
        self._looked_at = now
        for name, (pulse_of, kill) in self._watched.items():
            pulse = pulse_of()
            if pulse is not None and pulse.feel(elapsed):
                self._report(f"{name} has not answered for {SILENT_SECONDS:g} s; it is ended")
                pulse.give_up()
                kill()
