"""Sees events one after the other and says what they mean. Pure: no clock, no files, no threads."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from math import inf
from typing import Any, NamedTuple

import msgspec

from casemate.detection.fields import Event, Get, text_of
from casemate.detection.overflow import Overflow
from casemate.detection.rule import Correlation, Rule
from casemate.detection.rules import Rules
from casemate.detection.windows import Remembered, Window
from casemate.model.level import Level

MAX_TOLD = 4096
"""Findings that are remembered so that they are not told again at once."""
MAX_IDS = 16
"""Ids of events that a finding names, the newest."""
MAX_COUNT = 1_000_000_000
QUIET_SECONDS = 3600.0
"""A rule is told of the same entity again after so long; what came between is counted."""
_MAX_TEXT = 256


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """That a rule matches: what it is, of whom, and by which events."""

    rule: str
    """Name of the rule."""
    id: str
    title: str
    level: Level
    entity: str
    """Who or what it is about, as `field=value` for each field that tells it."""
    at: float
    """Unix time of the event that completed it."""
    count: int
    """Events that it stands for, with those of findings alike that were not told."""
    events: tuple[str, ...]
    """Ids of entries of the journal, at most `MAX_IDS`."""
    techniques: tuple[str, ...]
    """Of ATT&CK."""


class Since(NamedTuple):
    """Events alike that came after a finding, and are counted instead of told."""

    events: int = 0
    latest: float = 0.0
    """Unix time of the last of them."""


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What a detector has seen, for another one that goes on in its place."""

    windows: dict[str, Remembered]
    """By the form of a correlation."""
    told: list[tuple[str, str, float, float]]
    """Rule, entity, when, and how many have come since."""
    forgotten: int
    latest: list[float] = []
    """When the last of each of `told` came, in their order; shorter: of an earlier release."""


class Detector:
    """Runs rules over events."""

    def __init__(self, rules: Rules, *, quiet: float = QUIET_SECONDS) -> None:
        """Begin with nothing seen."""
        self._rules = rules
        self._quiet = quiet
        self._overflow = Overflow()
        self._windows = [
            Window(each, self._overflow, used[0])
            for each, used in zip(rules.correlations, rules.used, strict=True)
        ]
        self._told: OrderedDict[tuple[str, str], list[float]] = OrderedDict()
        self._forgotten = 0

    @property
    def forgotten(self) -> int:
        """What was forgotten for want of room: it counts no more."""
        return self._forgotten + self._overflow.forgotten

    def remembered(self) -> Memory:
        """Return what it has seen."""
        return Memory(
            windows={each.form: found for each in self._windows if (found := each.remembered())},
            told=[(*key, at, count) for key, (at, count, _) in self._told.items()],
            forgotten=self.forgotten,
            latest=[latest for _, _, latest in self._told.values()],
        )

    def recall(self, memory: Memory) -> None:
        """Go on in the place of another one. What rules that are gone have seen is left out."""
        for each in self._windows:
            each.recall(memory.windows.get(each.form, []))
        known = len(memory.latest) == len(memory.told)
        latest = memory.latest if known else [at for _, _, at, _ in memory.told]
        for (rule, entity, at, count), last in list(zip(memory.told, latest, strict=True))[
            -MAX_TOLD:
        ]:
            self._told[rule, entity] = [at, count, last]
        self._forgotten = memory.forgotten

    def since(self, rule: str, entity: str) -> Since:
        """Return what has come since a rule was last told of an entity, and was only counted."""
        told = self._told.get((rule, entity))
        return Since(int(told[1]), told[2]) if told is not None and told[1] else Since()

    def since_by_rule(self) -> dict[str, Since]:
        """Return the same of all entities together, by the rule's name."""
        found: dict[str, Since] = {}
        for (rule, _), (_, count, latest) in self._told.items():
            if count:
                before = found.get(rule, Since())
                found[rule] = Since(before.events + int(count), max(before.latest, latest))
        return found

    def tell_again(self) -> None:
        """Tell of each entity again when it is next seen, with what was counted since."""
        for told in self._told.values():
            told[0] = -inf

    def tell_again_of(self, keys: Iterable[tuple[str, str]]) -> None:
        """Tell of these rules and entities again when they are next seen.

        Somebody has looked at what was counted: it is counted anew.
        """
        wanted = set(keys)
        for key in wanted:
            if (told := self._told.get(key)) is not None:
                told[:2] = -inf, 0
        rules = {rule for rule, _ in wanted}
        for window, correlation in zip(self._windows, self._rules.correlations, strict=True):
            name = correlation.about.name
            for entity in window.counted if name in rules else ():
                if (name, _shown(correlation.entity, entity)) in wanted:
                    window.forget(entity)

    def see(self, event: Event, at: float) -> list[Finding]:
        """Return what an event, which happened at a Unix time, lets be told."""
        matched = self._rules.matching(event)
        if not matched:
            return []
        count = event.get("count", 1)
        count = min(count, MAX_COUNT) if type(count) is int and count > 0 else 1
        metadata = event.get("metadata")
        uid = text_of(metadata.get("uid")) if isinstance(metadata, dict) else None
        uid = (uid or "")[:_MAX_TEXT]
        found: list[Finding] = []
        told = self._rules.told
        for rule in matched:
            if rule.about.name in told:
                self._tell(rule, _entity(rule.entity, event), at, count, (uid,), found)
        self._correlate({rule.about.name for rule in matched}, event, at, count, uid, found)
        return found

    def see_all(self, events: Iterable[Event]) -> list[Finding]:
        """Return what events of the past let be told, by their own times; the oldest come first."""
        found: list[Finding] = []
        for event in events:
            time = event.get("time")
            at = time / 1000 if isinstance(time, int | float) else 0.0
            found += self.see(event, at)
        return found

    def with_since(self, found: Sequence[Finding]) -> list[Finding]:
        """Return findings, the last of each rule and entity with what was only counted since."""
        last = {(each.rule, each.entity): each for each in found}
        shown = []
        for each in found:
            key = (each.rule, each.entity)
            since = self.since(*key).events if last[key] is each else 0
            shown.append(msgspec.structs.replace(each, count=each.count + since))
        return shown

    def _correlate(
        self, matched: set[str], event: Event, at: float, count: int, uid: str, found: list[Finding]
    ) -> None:
        """Give an event to the correlations of rules that match it, to each of them once.

        They are in order: what one reaches is looked at by those behind it.
        """
        rules = self._rules
        waiting = sorted({place for name in matched for place in rules.users.get(name, ())})
        while waiting:
            place = heappop(waiting)
            correlation = rules.correlations[place]
            by = [name for name in rules.used[place] if name in matched]
            if not correlation.type.of_rules:
                del by[1:]
            reached = None
            for name in by:
                reached = self._windows[place].see(name, event, at, count, uid) or reached
            if reached is None:
                continue
            name = correlation.about.name
            if name in rules.told:
                entity = _shown(correlation.entity, reached.entity)
                self._tell(correlation, entity, at, reached.times, reached.ids, found)
            matched.add(name)
            for behind in rules.users.get(name, ()):
                if behind not in waiting:
                    heappush(waiting, behind)

    def _tell(
        self,
        rule: Rule | Correlation,
        entity: str,
        at: float,
        count: int,
        ids: tuple[str, ...],
        found: list[Finding],
    ) -> None:
        about = rule.about
        key = (about.name, entity)
        told = self._told.get(key)
        if told is not None and abs(at - told[0]) < self._quiet:
            told[1] += count
            told[2] = at
            return
        before = int(told[1]) if told is not None else 0
        self._told[key] = [at, 0, at]
        self._told.move_to_end(key)
        if len(self._told) > MAX_TOLD:
            self._told.popitem(last=False)
            self._forgotten += 1
        found.append(
            Finding(
                rule=about.name,
                id=about.id,
                title=about.title,
                level=about.level or Level.INFORMATIONAL,
                entity=entity,
                at=at,
                count=before + count,
                events=ids[-MAX_IDS:],
                techniques=about.techniques,
            )
        )


def _entity(fields: tuple[tuple[str, Get], ...], event: Event) -> str:
    """Return the fields of an event that say what it is about; those that are missing left out."""
    found = []
    for path, get in fields:
        value: Any = get(event)
        text = text_of(value[0] if isinstance(value, list) and value else value)
        if text is not None:
            found.append(f"{path}={_one_word(text)}")
    return " ".join(found)


def _shown(fields: tuple[tuple[str, Get], ...], values: tuple[str, ...]) -> str:
    return " ".join(
        f"{path}={_one_word(value)}" for (path, _), value in zip(fields, values, strict=True)
    )


def _one_word(text: str) -> str:
    """Return a text in which nobody can name another field: words are joined."""
    return "_".join(text[:_MAX_TEXT].split())


def over(events: Iterable[dict[str, Any]], rules: Rules) -> list[Finding]:
    """Return what rules find in events of the past, the oldest first, by the events' own times."""
    return Detector(rules).see_all(events)
