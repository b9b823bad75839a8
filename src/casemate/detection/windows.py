"""What correlations remember: few things of each entity, of a bounded number of entities.

Who has not been seen for longest is forgotten first, and how many were is counted.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from casemate.detection.fields import Event, Get, text_of
from casemate.detection.rule import Correlation, CorrelationType

MAX_ENTITIES = 2048
"""Of one correlation."""
MAX_KEPT = 4096
"""Events or values of one correlation that are remembered, of all entities together."""
SLICES = 64
"""Correlations that count up to more than this remember how many events were in each part of their
time, of so many, instead of each event: what they count is forgotten up to one part too early."""
_MAX_TEXT = 256


class Kept(NamedTuple):
    """One event that a correlation remembers."""

    at: float
    times: int
    id: str


Remembered = list[tuple[tuple[str, ...], list[tuple[str, float, int, str]]]]
"""What is remembered of each entity, in the order in which they were seen last."""


class Reached(NamedTuple):
    """That a correlation's condition holds of an entity."""

    entity: tuple[str, ...]
    times: int
    ids: tuple[str, ...]


class _Entity:
    """What is remembered of one entity."""

    __slots__ = ("entries", "total")

    def __init__(self) -> None:
        self.entries: OrderedDict[str, Kept] = OrderedDict()
        """By what makes them differ: a number, a value of the counted field, a rule's name."""
        self.total = 0
        """Events that all of them stand for."""

    def put(self, key: str, kept: Kept) -> int:
        """Keep one, the newest; return how many more there are for it."""
        before = self.entries.pop(key, None)
        self.entries[key] = kept
        self.total += kept.times - (before.times if before is not None else 0)
        return before is None

    def add(self, key: str, kept: Kept) -> int:
        """Keep one together with those of the same key, as old as the first of them."""
        before = self.entries.get(key)
        if before is not None:
            kept = Kept(before.at, before.times + kept.times, kept.id)
        self.entries[key] = kept
        self.total += kept.times - (before.times if before is not None else 0)
        return before is None

    def drop_oldest(self) -> None:
        """Forget the oldest."""
        _, kept = self.entries.popitem(last=False)
        self.total -= kept.times


def entity_of(paths: tuple[tuple[str, Get], ...], event: Event) -> tuple[str, ...] | None:
    """Return the fields that say what an event is about; None if one of them is missing."""
    found = []
    for _, get in paths:
        value = get(event)
        if isinstance(value, list):
            value = value[0] if value else None
        text = text_of(value)
        if text is None:
            return None
        found.append(text[:_MAX_TEXT])
    return tuple(found)


class Window:
    """What one correlation remembers."""

    def __init__(self, correlation: Correlation) -> None:
        """Begin with nothing."""
        self._correlation = correlation
        self._counts = correlation.type is CorrelationType.EVENT_COUNT
        self._sliced = self._counts and correlation.least > SLICES
        self._most = SLICES + 1 if self._sliced else correlation.least
        self._entities: OrderedDict[tuple[str, ...], _Entity] = OrderedDict()
        self._kept = 0
        self._number = 0
        self.forgotten = 0
        """Entities that were pushed out by others."""

    @property
    def form(self) -> str:
        """What must be alike for a window to go on with what another one remembers."""
        one = self._correlation
        return f"{one.about.name} {one.type} {one.seconds:g} {one.least}"

    def remembered(self) -> Remembered:
        """Return all that it remembers."""
        return [
            (entity, [(key, *kept) for key, kept in known.entries.items()])
            for entity, known in self._entities.items()
        ]

    def recall(self, found: Remembered) -> None:
        """Remember what another one did."""
        for entity, entries in found:
            known = self._entities[entity] = _Entity()
            for key, at, times, uid in entries:
                known.put(key, Kept(at, times, uid))
                if self._counts and not self._sliced:
                    self._number = max(self._number, int(key))
            self._kept += len(known.entries)
        self._bound()

    def see(self, rule: str, event: Event, at: float, count: int, uid: str) -> Reached | None:
        """Take an event that a rule has matched; return what is reached by it."""
        correlation = self._correlation
        entity = entity_of(correlation.entity, event)
        key = self._key(rule, event, at)
        if entity is None or key is None:
            return None
        known = self._entities.get(entity)
        if known is None:
            known = self._entities[entity] = _Entity()
        self._entities.move_to_end(entity)
        self._expire(known, at)
        keep = known.add if self._sliced else known.put
        self._kept += keep(key, Kept(at, count, uid))
        # More than are needed tell nothing: the newest are enough.
        while len(known.entries) > self._most:
            known.drop_oldest()
            self._kept -= 1
        reached = known.total if self._counts else len(known.entries)
        if reached < correlation.least:
            self._bound()
            return None
        self._kept -= len(known.entries)
        del self._entities[entity]
        return Reached(entity, reached, tuple(kept.id for kept in known.entries.values()))

    def _key(self, rule: str, event: Event, at: float) -> str | None:
        correlation = self._correlation
        if correlation.type is CorrelationType.TEMPORAL:
            return rule
        if self._sliced:
            return str(at * SLICES // correlation.seconds)
        if self._counts or correlation.field is None:
            self._number += 1
            return str(self._number)
        value = correlation.field(event)
        text = text_of(value[0] if isinstance(value, list) and value else value)
        return None if text is None else text[:_MAX_TEXT].lower()

    def _expire(self, known: _Entity, at: float) -> None:
        """Forget what is too long ago, or in a future that a clock has come back from."""
        while known.entries:
            oldest = next(iter(known.entries.values()))
            if abs(at - oldest.at) <= self._correlation.seconds:
                return
            known.drop_oldest()
            self._kept -= 1

    def _bound(self) -> None:
        while len(self._entities) > MAX_ENTITIES or self._kept > MAX_KEPT:
            _, known = self._entities.popitem(last=False)
            self._kept -= len(known.entries)
            self.forgotten += 1
