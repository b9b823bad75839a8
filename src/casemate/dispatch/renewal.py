"""How long instances are forked from one zygote before another takes its place.

All instances of a zygote have its layout of memory and its seed of hashes. What a caller has learnt
of them is of use against later calls for as long as they are forked from it, and no longer.
"""

from __future__ import annotations

from dataclasses import dataclass

from casemate.sandbox.zygote import Zygote

CALLED_SECONDS = 600.0
"""From its making on, of one that was called: somebody may have learnt its layout."""
UNCALLED_SECONDS = 1800.0
"""Of one that was not; others have the layout of the same base zygote."""
MOST_CALLS, MOST_FORKS = 1_000_000, 100_000
"""After which it is replaced earlier: a guess that fails costs its process, and so a fork."""
_MOST_PART = 1.5
"""Of those calls or forks it goes even if its successor is not there."""
GRACE_SECONDS = 600.0
"""How long one that is due to be replaced goes on if its successor does not come about."""
_LEAST_PAUSE, _MOST_PAUSE = 1.0, 60.0
OVERLAP_SECONDS = 60.0
"""How long instances of one that was replaced serve on while there are no others."""
SECOND_AFTER_SECONDS = 120.0
"""How old one is before a second is made beside it: earlier that would have the same layout."""


@dataclass(eq=False, slots=True)
class InUse:
    """A zygote that instances are forked from, and what it was used for."""

    zygote: Zygote
    opened_at: float
    calls: int = 0
    due_since: float | None = None
    again_at: float = 0.0
    """When to try again to replace it."""
    _pause: float = 0.0

    def is_due(self, now: float, *, in_turns: bool) -> bool:
        """Tell whether another is to take its place.

        `in_turns` is for a function that has two: each new one takes the place of the older one, so
        that both are there for as long as a single one would be.
        """
        part = (now - self.opened_at) / (CALLED_SECONDS if self.calls else UNCALLED_SECONDS)
        if max(part, self._part) < (0.5 if in_turns else 1.0):
            return self.zygote.outdated
        if self.due_since is None:
            self.due_since = now
        return True

    def is_overdue(self, now: float) -> bool:
        """Tell whether it is to go even though nothing took its place."""
        if not self.is_due(now, in_turns=False) or self.due_since is None:
            return False
        return now - self.due_since > GRACE_SECONDS or self._part >= _MOST_PART

    def not_replaced(self, now: float) -> None:
        """Take note of a try that came to nothing: the next one comes after twice as long."""
        self._pause = min(max(2 * self._pause, _LEAST_PAUSE), _MOST_PAUSE)
        self.again_at = now + self._pause

    @property
    def _part(self) -> float:
        """What was used of all that it is good for."""
        return max(self.calls / MOST_CALLS, self.zygote.forks / MOST_FORKS)
