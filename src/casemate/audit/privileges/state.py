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
        self.changes = 0
        """How often anything has changed."""
        self._version = 0
        """How often something has that any code may read."""
        self._own: dict[int, int] = {}
        """How often names of a function have that no other reads."""
        self._shared: set[int] = set()

    def version(self, function: int = -1) -> tuple[int, int]:
        """Return what is another if anything has changed that a function, or a module, reads."""
        return self._version, self._own.get(function, 0)

    def share(self, function: int) -> None:
        """Know that something within a function reads its names, too."""
        self._shared.add(function)

    def tell(self) -> None:
        """Count a change of something that any code may read."""
        self.changes += 1
        self._version += 1

    def _join(self, table: dict[KeyT, Values], key: KeyT, values: Values) -> None:
        before = table.get(key, NONE)
        if values <= before:
            return
        after = bounded(before | values)
        if after != before:
            table[key] = after
            self.tell()

    def name(self, scope: Scope, name: str, values: Values) -> None:
        """Let a name hold more."""
        before = self.names.get((scope, name))
        if before is None:
            self._by_scope.setdefault(scope, {})[name] = None
        elif values <= before:
            return
        after = bounded(before | values if before else values)
        if after != before:
            self.names[scope, name] = after
            if scope.kind == "function" and scope.number not in self._shared:
                self.changes += 1
                self._own[scope.number] = self._own.get(scope.number, 0) + 1
            else:
                self.tell()

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
