"""What the store's writer does beside changes: it forgets ended tokens, and what was used once."""

from __future__ import annotations

import logging

from casemate.model.errors import CasemateError
from casemate.set_clock import DeletingClock
from casemate.sqlite.duties import Duties
from casemate.sqlite.engine import Connection
from casemate.store.sqlite.accounts import prune_tokens
from casemate.store.sqlite.clock import now_of
from casemate.store.sqlite.used_once import forget_used

_LOG = logging.getLogger(__name__)
PRUNE_SECONDS = 60.0
_PRUNE_BATCH = 1000


class StoreDuties(Duties[Connection]):
    """The changes of the store work with the connection itself."""

    def __init__(self) -> None:
        """Believe the clock as it is."""
        self._clock = DeletingClock()

    def begin(self, connection: Connection) -> Connection:
        """Return the connection."""
        return connection

    def upkeep(self, work: Connection) -> bool:
        """Delete a batch of tokens that ended long ago; return True if there may be more."""
        now = min(now_of(work), self._clock.now())
        forget_used(work, now=now)
        return prune_tokens(work, now=now, batch=_PRUNE_BATCH) >= _PRUNE_BATCH

    def upkeep_failed(self, error: CasemateError) -> None:
        """Say so; the next try is not before its time."""
        _LOG.error("Ended tokens could not be deleted: %s", error)
