"""What names, attributes, containers and functions hold so far. It only grows."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TypeVar

from casemate.audit.privileges.program import Scope
from casemate.audit.privileges.values import NONE, Box, Values, bounded

KeyT = TypeVar("KeyT", bound=Hashable)


class State:
    """Joined over the whole program, whatever the order in which statements run."""

    def __init__(self) -> None:
        """Know nothing."""
        self.names: dict[tuple[Scope, str], Values] = {}
        self._by_owner: dict[int, dict[str, None]] = {}
        self._by_scope: dict[Scope, dict[str, None]] = {}
        self.attributes: dict[tuple[int, str], Values] = {}
        """By class: those of its objects and its own."""
        self.kept: dict[str, Values] = {}
        """By name, on things that are not followed: `flask.g.client`."""
        self.items: dict[int, Values] = {}
        """By container."""
        self.keyed: dict[tuple[int, Hashable], Values] = {}
        self.keys: dict[int, Values] = {}
        self.returns: dict[int, Values] = {}
        self.changed = False

    def _join(self, table: dict[KeyT, Values], key: KeyT, values: Values) -> None:
        before = table.get(key, NONE)
        if values <= before:
            return
        after = bounded(before | values)
        if after != before:
            table[key] = after
            self.changed = True

    def name(self, scope: Scope, name: str, values: Values) -> None:
        """Let a name hold more."""
        if (scope, name) not in self.names:
            self._by_scope.setdefault(scope, {})[name] = None
            self.names[scope, name] = NONE
            self.changed = True
        self._join(self.names, (scope, name), values)

    def inside(self, scope: Scope) -> Iterator[tuple[str, Values]]:
        """Yield the names of a scope and what they hold."""
        for name in list(self._by_scope.get(scope, ())):
            yield name, self.names.get((scope, name), NONE)

    def attribute(self, owner: int, name: str, values: Values) -> None:
        """Let an attribute hold more."""
        if (owner, name) not in self.attributes:
            self._by_owner.setdefault(owner, {})[name] = None
        self._join(self.attributes, (owner, name), values)

    def of_class(self, owner: int) -> Iterator[tuple[str, Values]]:
        """Yield the attributes of a class and its objects, and what they hold."""
        for name in list(self._by_owner.get(owner, ())):
            yield name, self.attributes.get((owner, name), NONE)

    def keep(self, name: str, values: Values) -> None:
        """Let an attribute of something that is not followed hold more."""
        self._join(self.kept, name, values)

    def put(self, box: Box, values: Values, key: Hashable = None) -> None:
        """Let a container hold more, under a key if that is known."""
        self._join(self.items, box.number, values)
        if key is not None:
            self._join(self.keyed, (box.number, key), values)

    def key(self, box: Box, values: Values) -> None:
        """Let a map have more keys."""
        self._join(self.keys, box.number, values)

    def give(self, function: int, values: Values) -> None:
        """Let a function return more."""
        self._join(self.returns, function, values)

    def got(self, box: Box, key: Hashable = None) -> Values:
        """Return what a container holds, under a key if that is known."""
        if key is not None and (box.number, key) in self.keyed:
            return self.keyed[box.number, key]
        return self.items.get(box.number, NONE)
