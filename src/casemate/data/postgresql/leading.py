"""Who leads what: each project the node that comes first for it of those that take events.

So that what leaders do is spread. What a node leads is what a row names it for, as long as it is
seen: nothing else is renewed. What its first node does not take, whatever the reason, another does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from casemate.data.postgresql import catalogue
from casemate.data.postgresql.among import first
from casemate.data.postgresql.hints import CHANNEL, LOOK
from casemate.data.terms import Holder
from casemate.postgresql.listening import ListeningConnection

Sought = Mapping[str, frozenset[str]]
"""By kind of work: the projects that a node wants to lead."""
Led = frozenset[tuple[str, str]]
"""Kinds of work and projects."""
FREE_SECONDS: Final = 3.0
"""For so long the node that comes first may leave something free until another leads it."""


class Leading:
    """Of one node. Belongs to one thread at a time."""

    def __init__(self, own: Holder) -> None:
        """It leads nothing."""
        self._own = own
        self._takers: tuple[str, ...] = ()
        self._first: dict[str, str] = {}
        """By project: who comes first, of those takers."""
        self._given: dict[tuple[str, str], float] = {}
        """What is given up, and when: this node may still believe that it leads it."""
        self._free: dict[tuple[str, str], float] = {}
        """What nobody leads though another comes first, and since when that is known."""

    def look(
        self,
        connection: ListeningConnection,
        takers: tuple[str, ...],
        sought: Sought,
        span: tuple[float, float],
        at: tuple[float, float],
    ) -> Led:
        """Give up and take what is to be; return what this node goes by that it leads.

        `at` is the present moment, and of which former one it is that this node goes by what was
        returned. What is given up is so in the database only once this node goes by it.
        """
        now, heeded = at
        led = self._read(connection)
        if takers != self._takers:
            # Once for each change: whoever comes first and still does not lead has a reason.
            self._takers, self._first = takers, {}
            for one in led:
                if one[1] in sought.get(one[0], ()) and not self._is_first(one[1]):
                    self._given.setdefault(one, now)
        over = {one for one, since in self._given.items() if one not in led or since <= heeded}
        if leave := over & led:
            self._leave(connection, leave)
        for one in over:
            del self._given[one]
        unsought = {one for one in led - leave if one[1] not in sought.get(one[0], ())}
        self._leave(connection, unsought)
        taken = self._take(connection, sought, span, led - unsought, now)
        kept = self._read(connection) if leave or unsought or taken else led
        return kept - self._given.keys()

    @property
    def is_giving(self) -> bool:
        """Tell whether there is something that is given up and not yet free."""
        return bool(self._given)

    def leave_all(self, connection: ListeningConnection) -> None:
        """Lead nothing."""
        connection.execute(catalogue.LEAVE, tuple(self._own))
        self._given.clear()

    def _read(self, connection: ListeningConnection) -> Led:
        rows = connection.execute(catalogue.LED, tuple(self._own)).fetchall()
        return frozenset((str(kind), str(project)) for kind, project in rows)

    def _is_first(self, project: str) -> bool:
        if not self._takers:
            return True
        found = self._first.get(project)
        if found is None:
            found = self._first[project] = first(self._takers, project)
        return found == self._own.node

    def _leave(self, connection: ListeningConnection, left: Iterable[tuple[str, str]]) -> None:
        for kind, projects in _by_kind(left).items():
            connection.execute(catalogue.LEAVE_ONE, (*self._own, kind, encoded(projects)))
            connection.tell(CHANNEL, LOOK)

    def _take(
        self,
        connection: ListeningConnection,
        sought: Sought,
        span: tuple[float, float],
        led: Led,
        now: float,
    ) -> bool:
        """Take what is free: what this node comes first for, and what was left free too long."""
        missing = {(kind, p) for kind, projects in sought.items() for p in projects} - led
        long_free = {one for one, since in self._free.items() if now - since >= FREE_SECONDS}
        own = {one for one in missing if self._is_first(one[1])}
        taken = 0
        for kind, projects in _by_kind(own | missing & long_free).items():
            values = (kind, *self._own, encoded(projects), kind, *span, *span)
            taken += connection.execute(catalogue.LEAD, values).rowcount
        free: set[tuple[str, str]] = set()
        for kind, projects in _by_kind(missing - own).items():
            rows = connection.execute(catalogue.FREE, (encoded(projects), kind, *span)).fetchall()
            free.update((kind, str(project)) for (project,) in rows)
        self._free = {one: self._free.get(one, now) for one in free}
        return taken > 0


def _by_kind(what: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for kind, project in sorted(what):
        found.setdefault(kind, []).append(project)
    return found


def encoded(names: Sequence[object]) -> str:
    """Return names as a list that a statement takes as one value."""
    return msgspec.json.encode(names).decode()
