"""Tells the gateway what memory each function's zygote holds, off the path of any call."""

from __future__ import annotations

from casemate.sandbox import protocol
from casemate.sandbox.proportional_memory import zygote_memory
from casemate.sandbox.zygote_process import ZygoteProcess
from casemate.supervisor.outbox import Outbox

_FIRST_SECONDS = 0.5
"""After the import: by then a zygote has settled, which writes to many of its pages."""
_AGAIN_SECONDS = 60.0
"""What is shared becomes its own when others end, and the other way round."""
_LATE_SECONDS = 5.0


class Measuring:
    """Reads one at a time, in turns of the loop in which nobody wants anything."""

    def __init__(self, outbox: Outbox) -> None:
        """Know of none yet."""
        self._outbox = outbox
        self._due: dict[ZygoteProcess, tuple[float, int]] = {}

    def begin(self, zygote: ZygoteProcess, number: int, now: float) -> None:
        """Measure a zygote from now on, which the gateway knows by a number."""
        self._due[zygote] = (now + _FIRST_SECONDS, number)

    def forget(self, zygote: ZygoteProcess) -> None:
        """Measure a zygote no more."""
        self._due.pop(zygote, None)

    def measure_next(self, now: float, *, busy: bool = False) -> None:
        """Measure the one that has waited longest, if one is due; if `busy`, only if it is late."""
        if not self._due:
            return
        zygote, (due, number) = min(self._due.items(), key=lambda item: item[1])
        if now < due + (_LATE_SECONDS if busy else 0.0):
            return
        self._due[zygote] = (now + _AGAIN_SECONDS, number)
        try:
            memory = zygote_memory(zygote.pid)
        except OSError:
            return  # it has ended, which is seen elsewhere, or this host does not tell
        self._outbox.tell(protocol.Held(number, memory))
