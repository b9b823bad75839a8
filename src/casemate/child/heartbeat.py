"""Telling a process that hangs from one that works: it writes a byte each second, or is killed.

The byte is written by the loop that does the work, so a process that was stopped (SIGSTOP), one
whose loop is stuck, and one that waits for ever for a lock are silent alike. Its value is how much
the process has to do, for those who wait for its end.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

BEAT_SECONDS = 1.0
SILENT_SECONDS = 10.0
"""Silence after which a process that worked counts as hung."""
START_SECONDS = 600.0
"""The same before its first beat: a store of an older release may have to be converted first."""
MOST_TOLD = 255
"""Of what a process has to do: as many or more, which one byte can say."""
_READ_BYTES = 4096


class Heart:
    """A process's own end."""

    def __init__(self, descriptor: int | None, busy: Callable[[], int] = int) -> None:
        """Beat on the writing end of a pipe; None for a process that nobody watches.

        `busy` says how much the process has to do at a moment.
        """
        self._descriptor = descriptor
        self._busy = busy
        if descriptor is not None:
            os.set_blocking(descriptor, False)

    def beat(self) -> None:
        """Say that the process works."""
        if self._descriptor is not None:
            # Full: nobody reads for now. Broken: whoever watched is gone, and so are we soon.
            with contextlib.suppress(OSError):
                os.write(self._descriptor, bytes((min(self._busy(), MOST_TOLD),)))

    def beat_in(self, loop: asyncio.AbstractEventLoop) -> None:
        """Beat now, and from now on each time that a loop comes round to it."""
        if self._descriptor is not None:
            self.beat()
            loop.call_later(BEAT_SECONDS, self.beat_in, loop)


class Pulse:
    """The watcher's end of one process's heart."""

    def __init__(self) -> None:
        """Make the pipe. The process is given `theirs`, which is closed here with `started`."""
        self._reading, self.theirs = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._reading, False)
        self._open = True
        self._silent = 0.0
        self._given_up = False
        self.felt = False
        """Whether the process has beaten at all: it is there and works."""
        self.busy = 0
        """How much it had to do at its last beat, MOST_TOLD for that or more."""

    def started(self) -> None:
        """Keep only the reading end."""
        os.close(self.theirs)
        self.theirs = -1

    def feel(self, elapsed: float) -> bool:
        """Return whether the process hangs. `elapsed` seconds went by since the last call.

        The caller bounds `elapsed`: a machine that slept has not let its processes beat either.
        """
        if not self._open or self._given_up:
            return False
        with contextlib.suppress(BlockingIOError):
            if beats := os.read(self._reading, _READ_BYTES):
                self.felt = True
                self.busy = beats[-1]
            self._silent = -elapsed  # it works, or its end is seen elsewhere
        self._silent += elapsed
        return self._silent > (SILENT_SECONDS if self.felt else START_SECONDS)

    def give_up(self) -> None:
        """Say no more that the process hangs: it is being ended."""
        self._given_up = True

    def close(self) -> None:
        """Let go of the pipe. Closing twice is fine."""
        if self._open:
            self._open = False
            os.close(self._reading)
            if self.theirs >= 0:
                os.close(self.theirs)
