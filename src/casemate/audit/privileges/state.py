"""What names, attributes, containers and functions hold so far. It only grows.

Which parts of the code read what is kept beside it: a part of which nothing has changed that it
reads tells nothing new if it is read again.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from casemate.audit.privileges.needs import Part
from casemate.audit.privileges.program import Scope
from casemate.audit.privileges.values import NONE, Box, Values, bounded

KeyT = TypeVar("KeyT", bound=Hashable)


class Readers:
    """Which parts have read what, and which have to be read again."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        self.dirty: set[Part] = set()
        self._part: Part = ""
        self._run = 0
        self._last: dict[Part, int] = {}
        """The number of the last reading of each part."""
        self._of: dict[Hashable, dict[Part, int]] = {}
        """Which parts have read something, and in which of their readings last."""

    def is_read(self, part: Part) -> bool:
        """Tell whether reading a part again would tell nothing new; begin to read it otherwise."""
        if part in self._last and part not in self.dirty:
            return True
        self.dirty.discard(part)
        self._run += 1
        self._part, self._last[part] = part, self._run
        return False

    def reads(self, what: Hashable) -> None:
        """Know that the part being read depends on something."""
        found = self._of.get(what)
        if found is None:
            self._of[what] = {self._part: self._run}
        else:
            found[self._part] = self._run

    def changed(self, what: Hashable) -> None:
        """Have each part read again that has read something as it was.

        What a part read before it was begun anew does not count: it comes to it in its turn.
        """
        for part, run in self._of.get(what, {}).items():
            if self._last.get(part) == run:
                self.dirty.add(part)


class Table(Generic[KeyT]):
    """Values by their keys."""

    def __init__(self, kind: str, readers: Readers) -> None:
        """Begin with none."""
        self._kind = kind
        self._readers = readers
        self._held: dict[KeyT, Values] = {}

    def find(self, key: KeyT) -> Values | None:
        """Return what is held there; None if nothing ever was."""
        self._readers.reads((self._kind, key))
        return self._held.get(key)

    def get(self, key: KeyT) -> Values:
        """Return what is held there, or nothing."""
        self._readers.reads((self._kind, key))
        return self._held.get(key, NONE)

    def join(self, key: KeyT, values: Values, *, empty: bool = False) -> bool:
        """Let more be held there, `empty` also if there is none; tell whether that is new."""
        before = self._held.get(key)
        if before is None:
            if not values and not empty:
                return False
            before = NONE
        elif values <= before:
            return False
        after = bounded(before | values if before else values)
        if after == before and key in self._held:
            return False
        self._held[key] = after
        self._readers.changed((self._kind, key))
        return True


class State:
    """Joined over the whole program, whatever the order in which statements run."""

    def __init__(self) -> None:
        """Know nothing."""
        self.readers = readers = Readers()
        self.names: Table[tuple[Scope, str]] = Table("name", readers)
        self._by_owner: dict[int, dict[str, None]] = {}
        self._by_scope: dict[Scope, dict[str, None]] = {}
        self.attributes: Table[tuple[int, str]] = Table("attribute", readers)
        """By class: those of its objects and its own."""
        self.kept: Table[str] = Table("kept", readers)
        """By name, on things that are not followed: `flask.g.client`."""
        self._items: Table[int] = Table("item", readers)
        """By container."""
        self.keyed: Table[tuple[int, Hashable]] = Table("keyed", readers)
        self._by_box: dict[int, dict[Hashable, None]] = {}
        self.keys: Table[int] = Table("key", readers)
        self.returns: Table[int] = Table("return", readers)

    def name(self, scope: Scope, name: str, values: Values) -> None:
        """Let a name hold more."""
        if self.names.join((scope, name), values, empty=True):
            self._by_scope.setdefault(scope, {})[name] = None
            self.readers.changed(scope)

    def inside(self, scope: Scope) -> Iterator[tuple[str, Values]]:
        """Yield the names of a scope and what they hold."""
        self.readers.reads(scope)
        for name in list(self._by_scope.get(scope, ())):
            yield name, self.names.get((scope, name))

    def attribute(self, owner: int, name: str, values: Values) -> None:
        """Let an attribute hold more."""
        if self.attributes.join((owner, name), values):
            self._by_owner.setdefault(owner, {})[name] = None
            self.readers.changed(("of class", owner))

    def of_class(self, owner: int) -> Iterator[tuple[str, Values]]:
        """Yield the attributes of a class and its objects, and what they hold."""
        self.readers.reads(("of class", owner))
        for name in list(self._by_owner.get(owner, ())):
            yield name, self.attributes.get((owner, name))

    def keep(self, name: str, values: Values) -> None:
        """Let an attribute of something that is not followed hold more."""
        self.kept.join(name, values)

    def put(self, box: Box, values: Values, key: Hashable = None) -> None:
        """Let a container hold more, under a key if that is known."""
        self._items.join(box.number, values)
        if key is not None and self.keyed.join((box.number, key), values):
            self._by_box.setdefault(box.number, {})[key] = None
            self.readers.changed(("of box", box.number))

    def of_box(self, box: Box) -> Iterator[tuple[Hashable, Values]]:
        """Yield the keys of a container that are known, and what it holds there."""
        self.readers.reads(("of box", box.number))
        for key in list(self._by_box.get(box.number, ())):
            yield key, self.keyed.get((box.number, key))

    def key(self, box: Box, values: Values) -> None:
        """Let a map have more keys."""
        self.keys.join(box.number, values)

    def give(self, function: int, values: Values) -> None:
        """Let a function return more."""
        self.returns.join(function, values)

    def got(self, box: Box, key: Hashable = None) -> Values:
        """Return what a container holds, under a key if that is known."""
        found = self.keyed.find((box.number, key)) if key is not None else None
        return self._items.get(box.number) if found is None else found
