"""What the store's writer does beside changes and records: old rows are deleted in batches."""

from __future__ import annotations

import logging
import time

from casemate.model.errors import CasemateError
from casemate.sqlite.duties import Duties
from casemate.sqlite.engine import Connection
from casemate.store.sqlite.options import SqliteOptions
from casemate.store.sqlite.record_queue import RecordQueue
from casemate.store.sqlite.retention import prune

_LOG = logging.getLogger(__name__)
PRUNE_SECONDS = 60.0
_PRUNE_AFTER_ROWS = 10_000
_PRUNE_BATCH = 1000
_PRUNE_BATCH_MOST = 20_000


class StoreDuties(Duties[Connection]):
    """The changes of the store work with the connection itself."""

    def __init__(self, options: SqliteOptions, records: RecordQueue) -> None:
        """Keep as much as `options` say of what `records` has written."""
        self._options = options
        self._records = records

    def begin(self, connection: Connection) -> Connection:
        """Return the connection."""
        return connection

    def hurries(self) -> bool:
        """Tell whether so much was written that the bounds would not hold for long."""
        return self._records.unpruned >= _PRUNE_AFTER_ROWS

    def upkeep(self, work: Connection) -> bool:
        """Delete a batch of what is beyond a bound; return True if there may be more."""
        # Twice what was written, so that the bounds hold however fast records come.
        batch = min(max(_PRUNE_BATCH, 2 * self._records.unpruned), _PRUNE_BATCH_MOST)
        self._records.unpruned = 0
        return prune(work, self._options, now=time.time(), batch=batch)

    def upkeep_failed(self, error: CasemateError) -> None:
        """Say so; the next try is not before its time."""
        self._records.unpruned = 0
        _LOG.error("Old records could not be deleted: %s", error)
