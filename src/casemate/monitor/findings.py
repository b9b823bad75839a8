"""What was found, kept: bounded in number, for each rule, and in time. The journal has it, too."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Iterator

from casemate.model.level import Level
from casemate.monitor.shares import Share, first_of_fullest, share_of_finding, take_from
from casemate.operations.findings import Finding

MAX_FINDINGS = 4096
MAX_OF_RULE = 512
"""Of one rule: a flood of it pushes out its own, those of the project that has most of them."""
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
        self._of_rule: defaultdict[str, OrderedDict[str, Found]] = defaultdict(OrderedDict)
        self._shares: Counter[Share] = Counter()
        self._shares_of_rule: defaultdict[str, Counter[Share]] = defaultdict(Counter)
        self._newest: dict[tuple[str, str], str] = {}
        """By rule and entity, the id of the newest that this node has found itself."""
        self.ended: set[tuple[str, str]] = set()
        """Rules and entities of which the next is another finding, however soon it comes."""
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
            self.ended.discard((found.rule, found.entity))
        of_rule, share = self._of_rule[found.rule], share_of_finding(found)
        of_rule[found.id] = found
        self._shares[share] += 1
        self._shares_of_rule[found.rule][share] += 1
        if len(of_rule) > MAX_OF_RULE:
            self._make_room(of_rule, self._shares_of_rule[found.rule])
        elif len(self._kept) > MAX_FINDINGS:
            self._make_room(self._kept, self._shares)
        return True

    def _make_room(self, among: OrderedDict[str, Found], counts: Counter[Share]) -> None:
        self._drop(first_of_fullest(among.values(), counts, share_of_finding).id)
        self.dropped += 1

    def expire(self, now: float) -> None:
        """Forget what is too old."""
        while self._kept:
            oldest = next(iter(self._kept.values()))
            if oldest.at >= now - KEPT_SECONDS:
                return
            self._drop(oldest.id)

    def alike(self, rule: str, entity: str, at: float) -> Found | None:
        """Return the newest of this node's of a rule and an entity, if it is of about this time.

        None as well where the next one was to be another finding.
        """
        id = None if (rule, entity) in self.ended else self._newest.get((rule, entity))
        found = None if id is None else self._kept[id]
        return found if found is not None and abs(found.at - at) < QUIET_SECONDS else None

    def end(self, found: Found) -> None:
        """Have the next of a rule and an entity be another finding, however soon it comes.

        `found` is kept as it is now, in place of what is known by its id.
        """
        if found.id in self._kept:
            self._kept[found.id] = self._of_rule[found.rule][found.id] = found
        self.recall_ended([(found.rule, found.entity)])

    def recall_ended(self, ended: Iterable[tuple[str, str]]) -> None:
        """Have the next of each rule and entity be another finding, if there was one before."""
        self.ended.update(each for each in ended if each in self._newest)

    def is_newest(self, found: Found) -> bool:
        """Tell whether one is the newest that this node has found of its rule and entity."""
        return self._newest.get((found.rule, found.entity)) == found.id

    def remove(self, id: str) -> None:
        """Forget one that is there."""
        self._drop(id)

    def _drop(self, id: str) -> None:
        dropped = self._kept.pop(id)
        rule, key = dropped.rule, (dropped.rule, dropped.entity)
        if self._newest.get(key) == id:
            del self._newest[key]
            self.ended.discard(key)
        share = share_of_finding(dropped)
        for counts in (self._shares, self._shares_of_rule[rule]):
            take_from(counts, share)
        del self._of_rule[rule][id]
        if not self._of_rule[rule]:
            del self._of_rule[rule], self._shares_of_rule[rule]

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
