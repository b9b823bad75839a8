"""Whether the cores of this machine are the bottleneck, by /proc/loadavg (proc(5))."""

from __future__ import annotations

import os

_WEIGHT = 0.3
"""Of the newest look, beside all before it."""
_SATURATED = 0.5
"""Processes that wait for a core, on average, from which on the cores are the bottleneck."""


class Saturation:
    """An average over the last few looks. Where the kernel does not tell, the cores count as busy:
    shares are then kept when they need not be, which is fair, and costs nobody an answer."""

    def __init__(self, cores: int, path: str = "/proc/loadavg") -> None:
        """Look at this machine, of which `cores` are ours to use."""
        self._cores = cores
        self._waiting = 0.0
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._descriptor = -1

    def look(self) -> bool:
        """Look once more, about a microsecond; return whether processes wait for a core."""
        self._waiting += _WEIGHT * (self._now() - self._waiting)
        return self._waiting > _SATURATED

    def _now(self) -> float:
        """Return how many processes wait for a core at this moment."""
        if self._descriptor < 0:
            return 1.0
        try:
            runnable = int(os.pread(self._descriptor, 128, 0).split()[3].partition(b"/")[0])
        except (OSError, ValueError, IndexError):
            return 1.0
        return max(0.0, float(runnable - self._cores))

    def close(self) -> None:
        """Let go of what is looked at."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
