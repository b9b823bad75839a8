"""What correlations remember: few things of each entity, of a bounded number of entities.

Whose time is over is forgotten; then who was seen but once, the longest ago first, gives way to
others. Of whoever did the little is left that `overflow` has room for; how many of that are
forgotten is counted.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from casemate.detection.fields import Event, Get, text_of
from casemate.detection.overflow import MASK, Left, Overflow, mark_of
from casemate.detection.rule import Correlation, CorrelationType

MAX_ENTITIES = 2048
"""Of one correlation."""
MAX_KEPT = 4096
"""Events or values of one correlation that are remembered, of all entities together."""
SLICES = 64
"""Correlations that count up to more than this remember how many events were in each part of their
time, of so many, instead of each event: what they count is forgotten up to one part too early."""
_SEVERAL_SHARE = 0.75
"""How much of the room those may have that were seen more than once: others have the rest."""
_MAX_TEXT = 256
_LEFT = "\0"
"""What the keys of entries begin with of which only a mark is left."""


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

    __slots__ = ("entries", "is_left", "total")

    def __init__(self) -> None:
        self.entries: OrderedDict[str, Kept] = OrderedDict()
        """By what makes them differ: a number, a value of the counted field, a rule's name."""
        self.total = 0
        """Events that all of them stand for."""
        self.is_left = False
        """Whether there may be some of whose keys the mark alone is left."""

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

    @property
    def newest(self) -> float:
        """When it was seen last."""
        return next(reversed(self.entries.values())).at

    def drop_oldest(self) -> None:
        """Forget the oldest."""
        _, kept = self.entries.popitem(last=False)
        self.total -= kept.times

    def drop(self, key: str) -> None:
        """Forget the one of this key, if there is one."""
        kept = self.entries.pop(key, None)
        self.total -= kept.times if kept is not None else 0


_Entities = OrderedDict[tuple[str, ...], _Entity]


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

    def __init__(
        self, correlation: Correlation, overflow: Overflow | None = None, first: str = ""
    ) -> None:
        """Begin with nothing. What there is no room for is put into `overflow`.

        `first` is the name of the rule that has to come first, where the order counts.
        """
        self._overflow = overflow or Overflow()
        self._form = self._form_of(correlation)
        self._correlation = correlation
        self._counts = correlation.type is CorrelationType.EVENT_COUNT
        self._first = first if correlation.type is CorrelationType.TEMPORAL_ORDERED else ""
        self._sliced = self._counts and correlation.least > SLICES
        self._most = SLICES + 1 if self._sliced else correlation.least
        self._once: _Entities = OrderedDict()
        """Of whom one event is remembered, in the order in which they were seen."""
        self._several: _Entities = OrderedDict()
        """Of whom more are, likewise."""
        self._kept = self._kept_of_several = 0
        self._number = 0

    @staticmethod
    def _form_of(one: Correlation) -> str:
        return f"{one.about.name} {one.type} {one.seconds:g} {one.least}"

    @property
    def form(self) -> str:
        """What must be alike for a window to go on with what another one remembers."""
        return self._form

    def remembered(self) -> Remembered:
        """Return all that it remembers, but what marks of this process are left of."""
        return [
            (entity, [(key, *kept) for key, kept in entries if not key.startswith(_LEFT)])
            for entity, entries in (
                (entity, known.entries.items())
                for entity, known in sorted(
                    (*self._once.items(), *self._several.items()), key=lambda each: each[1].newest
                )
            )
        ]

    @property
    def counted(self) -> list[tuple[str, ...]]:
        """Return of whom something is counted; of what only comes in order, nobody."""
        return [] if self._correlation.type.of_rules else [*self._once, *self._several]

    def forget(self, entity: tuple[str, ...]) -> None:
        """Count anew."""
        self._taken(entity)

    def recall(self, found: Remembered) -> None:
        """Remember what another one did."""
        for entity, entries in found:
            known = _Entity()
            for key, at, times, uid in entries:
                known.put(key, Kept(at, times, uid))
                if self._counts and not self._sliced:
                    self._number = max(self._number, int(key))
            if entries:
                self._put(entity, known)
                self._bound(known.newest)

    def see(self, rule: str, event: Event, at: float, count: int, uid: str) -> Reached | None:
        """Take an event that a rule has matched; return what is reached by it."""
        correlation = self._correlation
        entity = entity_of(correlation.entity, event)
        key = self._key(rule, event, at)
        if entity is None or key is None:
            return None
        known = self._taken(entity)
        if not known.entries and self._overflow.used:
            self._take_back(entity, known)
        if known.is_left:
            known.drop(self._left(key))
        self._expire(known, at)
        keep = known.add if self._sliced else known.put
        keep(key, Kept(at, count, uid))
        # More than are needed tell nothing: the newest are enough.
        while len(known.entries) > self._most:
            known.drop_oldest()
        if self._first:
            self._keep_in_order(known)
        reached = known.total if self._counts else len(known.entries)
        if reached < correlation.least:
            self._put(entity, known)
            self._bound(at)
            return None
        ids = tuple(kept.id for kept in known.entries.values() if kept.id)
        return Reached(entity, reached, ids)

    def _key(self, rule: str, event: Event, at: float) -> str | None:
        correlation = self._correlation
        if correlation.type.of_rules:
            return rule
        if self._sliced:
            return self._slice(at)
        if self._counts or correlation.field is None:
            self._number += 1
            return str(self._number)
        value = correlation.field(event)
        text = text_of(value[0] if isinstance(value, list) and value else value)
        return None if text is None else text[:_MAX_TEXT].lower()

    def _keep_in_order(self, known: _Entity) -> None:
        """Forget what was before what has to come first, in whatever order they are told."""
        entries = known.entries
        first = entries.get(self._first) or entries.get(self._left(self._first))
        for key, kept in list(entries.items()) if first is not None else ():
            if first is not None and kept.at < first.at:
                known.drop(key)

    def _slice(self, at: float) -> str:
        return str(at * SLICES // self._correlation.seconds)

    def _left(self, key: str) -> str:
        """Return the key under which an entry comes back of whose key the mark alone is left."""
        return f"{_LEFT}{mark_of(key) & MASK}"

    def _put_aside(self, entity: tuple[str, ...], known: _Entity) -> None:
        """Leave what there is room for of an entity for which there is none here."""
        mark, seconds = mark_of(self._form, entity), self._correlation.seconds
        if self._counts:
            oldest = next(iter(known.entries.values()))
            self._overflow.put(mark, Left(0, oldest.at, known.total), seconds)
            return
        for key, kept in known.entries.items():
            left = int(key[1:]) if key.startswith(_LEFT) else mark_of(key)
            self._overflow.put(mark, Left(left, kept.at, kept.times), seconds)

    def _take_back(self, entity: tuple[str, ...], known: _Entity) -> None:
        """Remember what is left of an entity."""
        for left in self._overflow.take(mark_of(self._form, entity)):
            if self._sliced:
                key = self._slice(left.at)
            elif self._counts:
                self._number += 1
                key = str(self._number)
            else:
                key = f"{_LEFT}{left.key}"
                known.is_left = True
            known.put(key, Kept(left.at, left.times, ""))

    def _taken(self, entity: tuple[str, ...]) -> _Entity:
        """Take away what is remembered of an entity, nothing if it is not."""
        known = self._once.pop(entity, None)
        if known is None:
            known = self._several.pop(entity, None)
            if known is None:
                return _Entity()
            self._kept_of_several -= len(known.entries)
        self._kept -= len(known.entries)
        return known

    def _put(self, entity: tuple[str, ...], known: _Entity) -> None:
        """Remember it as the one that was seen last."""
        size = len(known.entries)
        self._kept += size
        if size == 1 and (known.total == 1 or not self._counts):
            self._once[entity] = known
        else:
            self._several[entity] = known
            self._kept_of_several += size

    def _expire(self, known: _Entity, at: float) -> None:
        """Forget what is too long ago, or in a future that a clock has come back from."""
        while known.entries:
            oldest = next(iter(known.entries.values()))
            if abs(at - oldest.at) <= self._correlation.seconds:
                return
            known.drop_oldest()

    def _bound(self, at: float) -> None:
        if len(self._once) + len(self._several) <= MAX_ENTITIES and self._kept <= MAX_KEPT:
            return
        for entities in (self._once, self._several):
            while entities:
                entity, known = next(iter(entities.items()))
                if abs(at - known.newest) <= self._correlation.seconds:
                    break
                self._taken(entity)  # nobody misses it
        while len(self._once) + len(self._several) > MAX_ENTITIES or self._kept > MAX_KEPT:
            crowded = (
                len(self._several) > _SEVERAL_SHARE * MAX_ENTITIES
                or self._kept_of_several > _SEVERAL_SHARE * MAX_KEPT
            )
            entity = next(iter(self._several if crowded or not self._once else self._once))
            self._put_aside(entity, self._taken(entity))
