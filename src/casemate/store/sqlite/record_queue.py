"""Records and denials that wait to be written, nobody waiting for them: bounded, in groups.

They go into the database along with whatever changes are made; a failing disk has them wait, and
what does not fit any more counts as lost.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence

from casemate.model.denial import Denial
from casemate.model.errors import CasemateError
from casemate.model.function import Logs
from casemate.model.invocation import ErrorRecord, InvocationRecord, LogLine
from casemate.sqlite.answers import Answers, Waiter
from casemate.sqlite.engine import Connection
from casemate.store.sqlite.denials import insert_denials
from casemate.store.sqlite.faults import STORE
from casemate.store.sqlite.options import SqliteOptions
from casemate.store.sqlite.records import Entry, insert_records

Queued = Entry | Denial
Sized = tuple[Queued, int]

_LOG = logging.getLogger(__name__)
_RECORDS_PER_COMMIT = 4096
_RETRY_AFTER = 0.5
_RECORD_BYTES = 700
_LINE_BYTES = 250
"""Rough memory of a record and of a line beside its text."""


class RecordQueue:
    """The store's backlog; see `casemate.sqlite.duties.Backlog`. Any thread may add to it."""

    def __init__(self, options: SqliteOptions) -> None:
        """Hold as much as `options` say."""
        self._options = options
        # The lock guards the fields below it up to the blank line.
        self._lock = threading.Lock()
        self.wake = threading.Condition(self._lock)
        self._records: list[Sized] = []
        self._flushes: list[tuple[Waiter, int]] = []
        self._queued_denials = 0
        self._queued_bytes = 0
        self._accepted = 0
        self._lost = 0
        self._closed = False

        # The writer's thread alone uses these.
        self.unpruned = 0
        """Rows written since the last time that old ones were deleted."""
        self.failure: CasemateError | None = None
        """Why records wait at the moment; once the writer has ended, why some are lost."""
        self._taken_flushes: list[tuple[Waiter, int]] = []
        self._settled = 0
        self._records_due: float | None = None
        self._stopping = False
        self._gave_up = False

    @property
    def lost(self) -> int:
        """Number of records refused, or given up, since the start."""
        return self._lost

    def flush(self) -> asyncio.Future[None]:
        """Return a future that is done once all records accepted so far are durable."""
        waiter = Waiter.of_running_loop()
        with self._lock:
            if self._closed:
                raise STORE.closed.of()
            self._flushes.append((waiter, self._accepted))
            self.wake.notify()
        return waiter.future

    def record(
        self,
        invocation: InvocationRecord | None,
        error: ErrorRecord | None,
        log: Sequence[LogLine],
        logs: Logs = Logs(),  # noqa: B008 - frozen
    ) -> None:
        """Queue a record, or count it as lost if too many wait. Any thread; never waits for I/O."""
        size = _RECORD_BYTES
        if error is not None:
            size += len(error.message) + len(error.trace)
        if log:
            size += sum([len(line.text) for line in log]) + _LINE_BYTES * len(log)
        self._queue(Entry(invocation, error, log, logs), size)

    def deny(self, denial: Denial) -> None:
        """Queue a denial likewise. Of these fewer may wait, so that records have room."""
        size = _RECORD_BYTES + len(denial.reason) + len(denial.resource)
        self._queue(denial, size)

    def _queue(self, entry: Queued, size: int) -> None:
        denied = type(entry) is Denial
        with self._lock:
            records = self._records
            if (
                len(records) >= self._options.max_queued
                or self._queued_bytes + size > self._options.max_queued_bytes
                or (denied and self._queued_denials >= self._options.max_queued_denials)
                or self._closed
            ):
                self._lost += 1
                return
            records.append((entry, size))
            self._queued_bytes += size
            self._queued_denials += denied
            self._accepted += 1
            if len(records) == 1:
                self.wake.notify()

    def close(self) -> None:
        """Accept nothing more; what waits is still written."""
        with self._lock:
            self._closed = True

    # What the writer asks and tells

    def due(self, now: float, *, stopping: bool) -> float | None:
        """Return when the next records have to be written."""
        if self._flushes:
            return now
        if not self._records or (stopping and self._gave_up):
            return None
        if stopping or self._is_full():
            return now
        if self._records_due is None:
            self._records_due = now + self._options.flush_interval
        return self._records_due

    def take(self, *, stopping: bool) -> list[Sized]:
        """Return the records of the next transaction."""
        self._stopping = stopping
        self._taken_flushes, self._flushes = self._flushes, []
        # After a failure changes go alone until the records' next try is due.
        if self.failure is not None and not self._taken_flushes and not self._is_ready():
            return []
        records = self._records[:_RECORDS_PER_COMMIT]
        del self._records[:_RECORDS_PER_COMMIT]
        self._queued_bytes -= sum([size for _, size in records])
        self._queued_denials -= _denials(records)
        return records

    def _is_full(self) -> bool:
        return self.failure is None and len(self._records) >= _RECORDS_PER_COMMIT

    def _is_ready(self) -> bool:
        if self._stopping:
            return not self._gave_up
        if self._records_due is not None and self._records_due <= time.monotonic():
            return True
        return self._is_full()

    def write(self, connection: Connection, load: Sequence[Sized]) -> int:
        """Insert records; return how many hold what no column takes."""
        now = time.time()
        denials = [entry for entry, _ in load if isinstance(entry, Denial)]
        entries = [entry for entry, _ in load if not isinstance(entry, Denial)]
        lost = insert_records(connection, entries, now)
        return lost + (insert_denials(connection, denials, now) if denials else 0)

    def settled(self, load: Sequence[Sized], outcome: int) -> None:
        """Count what is durable, and the `outcome` of `write` as lost."""
        if self.failure is not None:
            _LOG.warning("The store writes records again.")
        self.failure = None
        self._records_due = None
        self._settled += len(load)
        self.unpruned += len(load)
        self.unpruned += sum([len(e.log) for e, _ in load if not isinstance(e, Denial)])
        if outcome:
            _LOG.warning("%d records held values that cannot be stored.", outcome)
            with self._lock:
                self._lost += outcome

    def postponed(self, load: Sequence[Sized], error: CasemateError) -> None:
        """Keep records for another try; they are within the queue's bound as before."""
        if self.failure is None:
            _LOG.error("Records wait in memory: %s", error)
        self.failure = error
        self._gave_up = self._stopping
        self._records_due = time.monotonic() + _RETRY_AFTER
        with self._lock:
            self._records[:0] = load
            self._queued_bytes += sum([size for _, size in load])
            self._queued_denials += _denials(load)

    def turned(self) -> None:
        """Answer those who waited for records that are now written, or cannot be."""
        if not self._taken_flushes:
            return
        answers = Answers()
        left = []
        for waiter, target in self._taken_flushes:
            if target <= self._settled:
                answers.add(waiter, None)
            elif self.failure is not None:
                answers.add_error(waiter, self.failure)
            else:
                left.append((waiter, target))
        self._taken_flushes = []
        answers.send()
        with self._lock:
            self._flushes[:0] = left

    def end(self) -> None:
        """Count what is left as lost."""
        with self._lock:
            self._lost += len(self._records)
            self._records.clear()
            self._queued_bytes = 0
            self._queued_denials = 0


def _denials(records: Sequence[Sized]) -> int:
    return sum([isinstance(entry, Denial) for entry, _ in records])
