"""Where in the journal the entries are that are looked for again, as they were written.

All others need not be opened: nearly all of a journal are calls, each sealed by itself.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Collection
from typing import Final

MAX_NOTED: Final = 16_384
"""The newest; whoever looks for older ones opens what is there."""


class Noted:
    """The places of entries of some kinds that this process has written. On its event loop."""

    def __init__(self, kinds: Collection[str], size: int) -> None:
        """Note entries of `kinds`, the names of facts' classes, in a journal of this size."""
        self.kinds = frozenset(kinds)
        self.since = size
        """From this entry on all of those kinds are noted."""
        self._places: deque[int] = deque()

    def note(self, place: int, kind: str) -> None:
        """An entry was written; they come in order."""
        if kind in self.kinds:
            self._places.append(place)
            if len(self._places) > MAX_NOTED:
                self.since = self._places.popleft() + 1

    def next_from(self, place: int) -> int | None:
        """Return the place of the first that is not before one, which is not before `since`."""
        at = bisect_left(self._places, place)
        return self._places[at] if at < len(self._places) else None
