"""Which zygotes that nobody calls are let go of when memory is short.

What is at rest saves the next call the start of a zygote: milliseconds for a plain one, a quarter
of a second with large libraries. So they are kept as long as there is memory for them, and the ones
that are cheapest to make again, hold most and were not called for longest go first.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

UNMEASURED = 8 << 20
"""Bytes that a zygote is taken to hold until that is known."""
MOST = 512
"""Zygotes that may be at rest, however small: each has a user id, control groups, descriptors."""
_LEAST_IDLE = 1.0
_RESERVE = 16
"""Of the host's memory, one part of so many is to be free: below it what is at rest makes room."""
_Key = TypeVar("_Key", bound=Hashable)


class Resting(NamedTuple):
    """A zygote that nothing needs at the moment."""

    memory: int
    """Bytes that go with it: its part of what processes share, and the files of its bundle."""
    seconds: float
    """What it took to make."""
    idle: float
    """Seconds since its last call."""
    project: str = ""

    @property
    def worth(self) -> float:
        """Return what keeping it saves, for what it costs: seconds by bytes and by time at rest."""
        return self.seconds / (max(self.memory, 1) * max(self.idle, _LEAST_IDLE))


def excess(resting: Mapping[_Key, Resting], *, memory: int, most: int = MOST) -> list[_Key]:
    """Return which are to go so that no more than `most` are left, and `memory` bytes of them.

    Only of projects that have more than their even share: what one project keeps, or how long it
    makes an import take, costs no other project what is its.
    """
    held, count = Counter[str](), Counter[str]()
    for one in resting.values():
        held[one.project] += one.memory
        count[one.project] += 1
    if not resting:
        return []
    share, places = memory // len(held), most // len(held)
    gone: dict[_Key, None] = {}
    by_worth = sorted(resting, key=lambda key: resting[key].worth)
    for fairly in (True, False):  # the second time only where there are more projects than places
        for key in by_worth:
            one = resting[key]
            heavy, many = held.total() > memory, count.total() > most
            if not heavy and not many:
                return list(gone)
            over = (heavy and held[one.project] > share) or (many and count[one.project] > places)
            if key not in gone and (over or not fairly):
                gone[key] = None
                held[one.project] -= one.memory
                count[one.project] -= 1
    return list(gone)


class HostMemory:
    """What is left of the host's memory."""

    def __init__(self, file: str = "/proc/meminfo") -> None:
        """Read it from `file`; see proc_meminfo(5)."""
        self._file = Path(file)
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        self._reserve = total // _RESERVE

    def missing(self) -> int:
        """Return how many bytes fewer are available than should be, 0 if that is not known."""
        try:
            for line in self._file.read_text().splitlines():
                name, _, value = line.partition(":")
                if name == "MemAvailable":
                    return max(0, self._reserve - int(value.split()[0]) * 1024)
        except (OSError, ValueError, IndexError):
            return 0
        return 0
