"""Being seen by the other nodes, and seeing who is there: the statements."""

from __future__ import annotations

import time

from casemate.data.postgresql import catalogue
from casemate.data.postgresql.among import HELD_SECONDS, Among, Joining, Living, steady
from casemate.data.postgresql.clock import MAX_DIFFERENCE, require_same_time
from casemate.data.postgresql.hints import CHANNEL, LOOK
from casemate.data.postgresql.leading import Leading, Sought
from casemate.data.terms import Holder
from casemate.postgresql.connections import Connections
from casemate.postgresql.listening import ListeningConnection


class Speaking(Connections):
    """One connection, which writes and hears."""

    kind = ListeningConnection


class Presence:
    """Of one node. Belongs to one thread at a time."""

    def __init__(self, own: Holder) -> None:
        """Nobody has seen it yet."""
        self._own = own
        self._took = False
        self._leading = Leading(own)
        self._joining = Joining()
        self.told = (0.0, 0.0)
        """What the engine's clock showed, and when by one that only goes forward. Any thread."""

    def begin(self, connection: ListeningConnection) -> None:
        """Take the place of this node's former life; forget nodes that are gone for a day."""
        connection.execute(catalogue.BEGIN, tuple(self._own))
        connection.execute(catalogue.FORGET)

    def look(
        self, connection: ListeningConnection, sought: Sought, *, takes: bool, heeded: float = 0.0
    ) -> Among | None:
        """Be seen, and see who is there; None if another process is this node now.

        A node that does not take events leads nothing. `heeded` is when that was asked (`began`)
        by which the node goes at this moment.

        Raises ClockError, unseen: what the node holds it could not settle, so others are to have
        it, as of one that is gone.
        """
        began, own = steady(), tuple(self._own)
        allowed = (*own, int(takes), time.time(), MAX_DIFFERENCE)
        beat = connection.execute(catalogue.BEAT, allowed).fetchone()
        if beat is None:
            (now,) = connection.execute(catalogue.CLOCK).fetchone() or (0.0,)
            require_same_time(now)
            return None
        (at,) = beat
        self.told = (at, steady())
        span = (at, catalogue.GONE_SECONDS)
        living = tuple(
            Living(Holder(node, life), bool(one_takes))
            for node, life, one_takes in connection.execute(catalogue.LIVING, span)
        )
        found = Among(self._own, living, began=began, until=began + HELD_SECONDS)
        alone = all(one.holder == self._own for one in living if one.takes)
        found.shares_at = self._joining.look(began, steady(), takes=takes, alone=alone)
        if takes:
            at_and_heeded = (began, heeded)
            found.led = self._leading.look(connection, found.takers, sought, span, at_and_heeded)
            found.gives = self._leading.is_giving
        else:
            self._leading.leave_all(connection)
        if takes != self._took:
            self._took = takes
            connection.tell(CHANNEL, LOOK)
        return found

    def end(self, connection: ListeningConnection) -> None:
        """Be none of them: others lead at once, and lease what this one has not given back."""
        self._leading.leave_all(connection)
        connection.execute(catalogue.END, tuple(self._own))
        connection.tell(CHANNEL, LOOK)
