"""What was found, kept: bounded in number, for each rule, and in time. The journal has it, too."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator

from casemate.model.level import Level
from casemate.operations.findings import Finding

MAX_FINDINGS = 4096
MAX_OF_RULE = 512
"""Of one rule: a flood of it pushes out its own, and no other's."""
QUIET_SECONDS = 3600.0
"""A detector tells of a rule and an entity again after so long at the earliest."""
KEPT_SECONDS = 90 * 86_400.0

LEVELS = tuple(Level)
"""From the least grave to the gravest."""


Found = Finding
"""As it is kept and shown: that of `detection` has no id yet, that of `facts` is told of it."""


def at_least(level: Level, least: Level) -> bool:
    """Tell whether one level is as grave as another."""
    return LEVELS.index(level) >= LEVELS.index(least)


class Findings:
    """All that are kept, in the order in which they were found."""

    def __init__(self) -> None:
        """Begin with none."""
        self._kept: OrderedDict[str, Found] = OrderedDict()
        self._of_rule: Counter[str] = Counter()
        self._newest: dict[tuple[str, str], str] = {}
        """By rule and entity, the id of the newest that this node has found itself."""
        self.dropped = 0
        """Those for which there was no room any more."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._kept)

    def get(self, id: str) -> Found | None:
        """Return one by its id."""
        return self._kept.get(id)

    def add(self, found: Found) -> bool:
        """Keep one; False where it is known already."""
        if found.id in self._kept:
            return False
        self._kept[found.id] = found
        if not found.node:
            self._newest[found.rule, found.entity] = found.id
        self._of_rule[found.rule] += 1
        if self._of_rule[found.rule] > MAX_OF_RULE:
            self._drop(next(each.id for each in self._kept.values() if each.rule == found.rule))
            self.dropped += 1
        elif len(self._kept) > MAX_FINDINGS:
            self._drop(next(iter(self._kept)))
            self.dropped += 1
        return True

    def expire(self, now: float) -> None:
        """Forget what is too old."""
        while self._kept:
            oldest = next(iter(self._kept.values()))
            if oldest.at >= now - KEPT_SECONDS:
                return
            self._drop(oldest.id)

    def alike(self, rule: str, entity: str, at: float) -> Found | None:
        """Return the newest of this node's of a rule and an entity, if it is of about this time."""
        id = self._newest.get((rule, entity))
        found = None if id is None else self._kept[id]
        return found if found is not None and abs(found.at - at) < QUIET_SECONDS else None

    def remove(self, id: str) -> None:
        """Forget one that is there."""
        self._drop(id)

    def _drop(self, id: str) -> None:
        dropped = self._kept.pop(id)
        rule, key = dropped.rule, (dropped.rule, dropped.entity)
        if self._newest.get(key) == id:
            del self._newest[key]
        self._of_rule[rule] -= 1
        if not self._of_rule[rule]:
            del self._of_rule[rule]

    def newest_first(self) -> Iterator[Found]:
        """Yield all."""
        return reversed(self._kept.values())

    def remembered(self) -> list[Found]:
        """Return all, the oldest first."""
        return list(self._kept.values())

    def recall(self, found: Iterable[Found]) -> None:
        """Keep these as well."""
        for each in found:
            self.add(each)
