"""What a function measures itself, with `context.metric`: told by its process, so held to bounds.

A frame that breaks a bound of form is no frame, which ends the instance (`OwnHead` of
`casemate.model.metrics`). What is well formed and too much, such as a name more than there may be,
is counted and not kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from casemate.model.metrics import LARGEST, MAX_NAMES, Measured, Told


class _Kept:
    """All that was told of one name."""

    __slots__ = ("count", "least", "most", "sum", "unit")

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.count = 0
        self.sum = 0.0
        self.least = math.inf
        self.most = -math.inf


class OwnMeasures:
    """Those of one function."""

    __slots__ = ("_kept", "refused")

    def __init__(self) -> None:
        """Start with none: most functions tell nothing."""
        self._kept: dict[str, _Kept] | None = None
        self.refused = 0

    def add(self, told: Sequence[Told]) -> None:
        """Add what one invocation tells."""
        if self._kept is None:
            self._kept = {}
        for one in told:
            kept = self._kept.get(one.name)
            if kept is None and len(self._kept) < MAX_NAMES:
                kept = self._kept[one.name] = _Kept(one.unit)
            if kept is None or not one.is_sound or abs(kept.sum + one.sum) > LARGEST:
                self.refused += 1
                continue
            kept.count += one.count
            kept.sum += one.sum
            kept.least = min(kept.least, one.least)
            kept.most = max(kept.most, one.most)

    def told(self) -> dict[str, Measured]:
        """Return them as they are now, by name."""
        return {
            name: Measured(
                count=kept.count, sum=kept.sum, least=kept.least, most=kept.most, unit=kept.unit
            )
            for name, kept in sorted((self._kept or {}).items())
            if kept.count
        }
