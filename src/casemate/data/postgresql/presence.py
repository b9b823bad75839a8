"""Being seen by the other nodes, seeing who is there, and leading what is free: the statements.

What a node leads is what a row names it for, as long as the node is seen: nothing else is renewed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import msgspec

from casemate.data.postgresql import catalogue
from casemate.data.postgresql.among import HELD_SECONDS, Among, Living
from casemate.data.postgresql.hints import CHANNEL, LOOK
from casemate.data.terms import Holder
from casemate.postgresql.listening import ListeningConnection

Sought = Mapping[str, frozenset[str]]
"""By kind of work: the projects that a node wants to lead."""
_Led = frozenset[tuple[str, str]]


class Presence:
    """Of one node. Belongs to one thread at a time."""

    def __init__(self, own: Holder) -> None:
        """Nobody has seen it yet."""
        self._own = own
        self._took = False
        self.told = (0.0, 0.0)
        """What the engine's clock showed, and when by one that only goes forward. Any thread."""

    def begin(self, connection: ListeningConnection) -> None:
        """Take the place of this node's former life; forget nodes that are gone for a day."""
        connection.execute(catalogue.BEGIN, tuple(self._own))
        connection.execute(catalogue.FORGET)

    def look(self, connection: ListeningConnection, sought: Sought, *, takes: bool) -> Among | None:
        """Be seen, and see who is there; None if another process is this node now.

        A node that does not take events leads nothing.
        """
        began, own = steady(), tuple(self._own)
        beat = connection.execute(catalogue.BEAT, (*own, int(takes))).fetchone()
        if beat is None:
            return None
        (at,) = beat
        self.told = (at, steady())
        span = (at, catalogue.GONE_SECONDS)
        living = tuple(
            Living(Holder(node, life), bool(one_takes))
            for node, life, one_takes in connection.execute(catalogue.LIVING, span)
        )
        led = self._led(connection)
        if takes:
            led = self._lead(connection, led, sought, span)
        elif led:
            connection.execute(catalogue.LEAVE, own)
            led = frozenset()
        if takes != self._took:
            self._took = takes
            connection.tell(CHANNEL, LOOK)
        return Among(self._own, living, led, began, began + HELD_SECONDS)

    def end(self, connection: ListeningConnection) -> None:
        """Be none of them: others lead at once, and lease what this one has not given back."""
        for statement in (catalogue.LEAVE, catalogue.END):
            connection.execute(statement, tuple(self._own))
        connection.tell(CHANNEL, LOOK)

    def _led(self, connection: ListeningConnection) -> _Led:
        rows = connection.execute(catalogue.LED, tuple(self._own)).fetchall()
        return frozenset((str(kind), str(project)) for kind, project in rows)

    def _lead(
        self, connection: ListeningConnection, led: _Led, sought: Sought, span: tuple[float, float]
    ) -> _Led:
        """Leave what is not sought any more, and lead what is sought and free."""
        own, changed = tuple(self._own), False
        for kind in {*sought, *(kind for kind, _ in led)}:
            wanted, mine = sought.get(kind, frozenset()), {p for k, p in led if k == kind}
            if left := sorted(mine - wanted):
                connection.execute(catalogue.LEAVE_ONE, (*own, kind, encoded(left)))
                connection.tell(CHANNEL, LOOK)
                changed = True
            if missing := sorted(wanted - mine):
                values = (kind, *own, encoded(missing), kind, *span, *span)
                changed |= connection.execute(catalogue.LEAD, values).rowcount > 0
        return self._led(connection) if changed else led


def encoded(names: Sequence[object]) -> str:
    """Return names as a list that a statement takes as one value."""
    return msgspec.json.encode(names).decode()


def steady() -> float:
    """Return seconds of a clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
