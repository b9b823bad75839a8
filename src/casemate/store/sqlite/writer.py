"""The one thread that changes the database, with group commit.

Whatever waits when a transaction begins goes into it: many changes and thousands of records share
one fsync. A change is answered after the commit that holds it, never before.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from casemate.model.denial import Denial
from casemate.model.errors import CasemateError
from casemate.model.invocation import ErrorRecord, InvocationRecord, LogLine
from casemate.sqlite import engine
from casemate.sqlite.answers import Answers, Waiter
from casemate.sqlite.commit_guard import is_condemned
from casemate.store.errors import (
    AFTER_RESTART,
    StoreClosedError,
    StoreCommitUnsureError,
    StoreError,
    StoreGoneError,
)
from casemate.store.sqlite.denials import insert_denials
from casemate.store.sqlite.faults import VALUE_ERRORS, unstorable
from casemate.store.sqlite.medium import StoreMedium
from casemate.store.sqlite.options import SqliteOptions
from casemate.store.sqlite.records import Entry, insert_records
from casemate.store.sqlite.retention import prune
from casemate.store.sqlite.transaction import savepoint, transaction

T = TypeVar("T")
Change = Callable[[engine.Connection], Any]
Queued = Entry | Denial

_LOG = logging.getLogger(__name__)
_RECORDS_PER_COMMIT = 4096
_CHANGES_PER_COMMIT = 512
_RETRY_AFTER = 0.5
_PRUNE_EVERY = 60.0
_PRUNE_AFTER_ROWS = 10_000
_PRUNE_BATCH = 1000
_PRUNE_BATCH_MOST = 20_000
_RECORD_BYTES = 700
_LINE_BYTES = 250
"""Rough memory of a record and of a line beside its text."""


class Writer:
    """Owns a connection from `start` to `stop` and uses it on its own thread.

    `medium` gives a new one where the engine cannot go on with the one it has.
    """

    def __init__(
        self,
        connection: engine.Connection,
        medium: StoreMedium,
        options: SqliteOptions,
    ) -> None:
        self._connection = connection
        self._medium = medium
        self._options = options
        self._thread = threading.Thread(target=self._run, name="casemate-store", daemon=True)
        # The lock guards the fields below it up to the blank line; it is never held during I/O.
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._changes: list[tuple[Waiter, Change]] = []
        self._flushes: list[tuple[Waiter, int]] = []
        self._pauses: list[tuple[threading.Event, threading.Event]] = []
        self._records: list[tuple[Queued, int]] = []
        self._queued_denials = 0
        self._queued_bytes = 0
        self._accepted = 0
        self._lost = 0
        self._stopping = False

        # The writer's thread alone uses these.
        self._settled = 0
        self._records_due: float | None = None
        self._prune_due = time.monotonic() + _PRUNE_EVERY
        self._unpruned = 0
        self._failure: CasemateError | None = None
        self._gave_up = False
        self._stale = False

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    @property
    def lost(self) -> int:
        """Number of records refused, or given up, since the start."""
        return self._lost

    def submit(self, change: Callable[[engine.Connection], T]) -> asyncio.Future[T]:
        """Queue a change; the future has its result once it is durable. Raises StoreClosedError.

        A change whose awaiter is cancelled is made all the same.
        """
        waiter = Waiter.of_running_loop()
        with self._wake:
            self._require_open()
            self._changes.append((waiter, change))
            self._wake.notify()
        return waiter.future

    def flush(self) -> asyncio.Future[None]:
        """Return a future that is done once all records accepted so far are durable."""
        waiter = Waiter.of_running_loop()
        with self._wake:
            self._require_open()
            self._flushes.append((waiter, self._accepted))
            self._wake.notify()
        return waiter.future

    def record(
        self, invocation: InvocationRecord, error: ErrorRecord | None, log: Sequence[LogLine]
    ) -> None:
        """Queue a record, or count it as lost if too many wait. Any thread; never waits for I/O."""
        size = _RECORD_BYTES
        if error is not None:
            size += len(error.message) + len(error.trace)
        if log:
            size += sum([len(line.text) for line in log]) + _LINE_BYTES * len(log)
        self._queue((invocation, error, log), size)

    def deny(self, denial: Denial) -> None:
        """Queue a denial likewise. Of these fewer may wait, so that records have room."""
        size = _RECORD_BYTES + len(denial.reason) + len(denial.resource)
        self._queue(denial, size)

    def _queue(self, entry: Queued, size: int) -> None:
        denied = isinstance(entry, Denial)
        with self._lock:
            records = self._records
            if (
                len(records) >= self._options.max_queued
                or self._queued_bytes + size > self._options.max_queued_bytes
                or (denied and self._queued_denials >= self._options.max_queued_denials)
                or self._stopping
            ):
                self._lost += 1
                return
            records.append((entry, size))
            self._queued_bytes += size
            self._queued_denials += denied
            self._accepted += 1
            if len(records) == 1:
                self._wake.notify()

    def pause(self, paused: threading.Event, resume: threading.Event) -> None:
        """Have the connection closed, `paused` set, and a new one opened once `resume` is set.

        What is queued waits meanwhile. Any thread. Raises StoreClosedError.
        """
        with self._wake:
            self._require_open()
            self._pauses.append((paused, resume))
            self._wake.notify()

    def stop(self) -> None:
        """Write what is queued and end the thread. Blocks. Closes the connection.

        Raises StoreError if records could not be written; they then count as lost.
        """
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()
        self._medium.end(self._connection)
        if self._failure is not None:
            raise self._failure

    def _require_open(self) -> None:
        if self._stopping:
            raise StoreClosedError(next_step=AFTER_RESTART)

    def _run(self) -> None:
        while self._wait():
            with self._lock:
                changes = self._changes[:_CHANGES_PER_COMMIT]
                del self._changes[:_CHANGES_PER_COMMIT]
                flushes, self._flushes = self._flushes, []
                # After a failure changes go alone until the records' next try is due.
                count = _RECORDS_PER_COMMIT
                if self._failure is not None and not flushes and not self._records_ready():
                    count = 0
                records = self._records[:count]
                del self._records[:count]
                self._uncount(records)
                pauses, self._pauses = self._pauses, []
            for paused, resume in pauses:
                self._step_aside(paused, resume)
            if changes or records:
                self._write(changes, records)
            self._answer_flushes(flushes)
            if self._prune_due <= time.monotonic() or self._unpruned >= _PRUNE_AFTER_ROWS:
                self._prune()
        self._give_up()

    def _wait(self) -> bool:
        """Block until there is something to do; return False when all is done and we stop."""
        with self._wake:
            while True:
                if self._changes or self._flushes or self._pauses:
                    return True
                if self._stopping:
                    return bool(self._records) and not self._gave_up
                if self._records_ready():
                    return True
                now = time.monotonic()
                due = self._prune_due
                if self._records:
                    if self._records_due is None:
                        self._records_due = now + self._options.flush_interval
                    due = min(due, self._records_due)
                if due <= now:
                    return True
                self._wake.wait(due - now)

    def _records_ready(self) -> bool:
        if self._stopping:
            return not self._gave_up
        if self._records_due is not None and self._records_due <= time.monotonic():
            return True
        return self._failure is None and len(self._records) >= _RECORDS_PER_COMMIT

    def _write(
        self, changes: list[tuple[Waiter, Change]], records: list[tuple[Queued, int]]
    ) -> None:
        """Commit all of it at once; should that fail, each change and the records on their own."""
        answers = Answers()
        try:
            self._renew_if_stale()
            with transaction(self._connection, self._medium.guard):
                for waiter, change in changes:
                    self._apply(waiter, change, answers)
                lost = self._insert(records)
        except CasemateError as error:
            self._note_stale(error)
            self._handle_failure(changes, records, error)
        except Exception as error:  # noqa: BLE001 - a dead thread would answer nobody
            _LOG.exception("A transaction failed in a way not foreseen.")
            self._handle_failure(changes, records, _unforeseen(error))
        else:
            answers.send()
            if records:
                self._settle(records, lost)

    def _insert(self, records: list[tuple[Queued, int]]) -> int:
        now = time.time()
        denials = [entry for entry, _ in records if isinstance(entry, Denial)]
        entries = [entry for entry, _ in records if not isinstance(entry, Denial)]
        lost = insert_records(self._connection, entries, now)
        return lost + (insert_denials(self._connection, denials, now) if denials else 0)

    def _step_aside(self, paused: threading.Event, resume: threading.Event) -> None:
        self._medium.end(self._connection)
        self._stale = True
        paused.set()
        resume.wait()

    def _note_stale(self, error: CasemateError) -> None:
        self._stale = self._stale or is_condemned(error)

    def _renew_if_stale(self) -> None:
        if self._stale:
            self._connection = self._medium.renew(self._connection)
            self._stale = False

    def _apply(self, waiter: Waiter, change: Change, answers: Answers) -> None:
        """Make one change. What is wrong with it alone is its answer; a failing medium raises."""
        try:
            with savepoint(self._connection):
                value = change(self._connection)
        except CasemateError as error:
            answers.add_error(waiter, error)
        except VALUE_ERRORS as error:
            answers.add_error(waiter, unstorable(error))
        except (engine.Error, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - a dead thread would answer nobody
            _LOG.exception("A change failed in a way not foreseen.")
            answers.add_error(waiter, _unforeseen(error))
        else:
            answers.add(waiter, value)

    def _handle_failure(
        self,
        changes: list[tuple[Waiter, Change]],
        records: list[tuple[Queued, int]],
        error: CasemateError,
    ) -> None:
        if changes and isinstance(error, StoreCommitUnsureError | StoreGoneError):
            # What was refused may come back with the log; made again it would be there twice.
            answers = Answers()
            for waiter, _ in changes:
                answers.add_error(waiter, error)
            answers.send()
            if records:
                self._postpone(records, error)
        elif len(changes) + bool(records) > 1:
            # What one of them asks too much of must not fail the others.
            for one in changes:
                self._write([one], [])
            if records:
                self._write([], records)
        elif changes:
            answers = Answers()
            answers.add_error(changes[0][0], self._medium.explain(error))
            answers.send()
        else:
            self._postpone(records, error)

    def _settle(self, records: list[tuple[Queued, int]], lost: int) -> None:
        if self._failure is not None:
            _LOG.warning("The store writes records again.")
        self._failure = None
        self._records_due = None
        self._settled += len(records)
        self._unpruned += len(records)
        self._unpruned += sum([len(e[2]) for e, _ in records if not isinstance(e, Denial)])
        if lost:
            _LOG.warning("%d records held values that cannot be stored.", lost)
            with self._lock:
                self._lost += lost

    def _postpone(self, records: list[tuple[Queued, int]], error: CasemateError) -> None:
        """Keep records for another try; they are within the queue's bound as before."""
        if self._failure is None:
            _LOG.error("Records wait in memory: %s", error)
        self._failure = error
        self._gave_up = self._stopping
        self._records_due = time.monotonic() + _RETRY_AFTER
        with self._lock:
            self._records[:0] = records
            self._queued_bytes += sum([size for _, size in records])
            self._queued_denials += _denials(records)

    def _answer_flushes(self, flushes: list[tuple[Waiter, int]]) -> None:
        """Answer those who waited for records that are now written, or cannot be."""
        answers = Answers()
        left = []
        for waiter, target in flushes:
            if target <= self._settled:
                answers.add(waiter, None)
            elif self._failure is not None:
                answers.add_error(waiter, self._failure)
            else:
                left.append((waiter, target))
        answers.send()
        with self._lock:
            self._flushes[:0] = left

    def _prune(self) -> None:
        # Twice what was written, so that the bounds hold however fast records come.
        batch = min(max(_PRUNE_BATCH, 2 * self._unpruned), _PRUNE_BATCH_MOST)
        try:
            self._renew_if_stale()
            with transaction(self._connection, self._medium.guard):
                more = prune(self._connection, self._options, now=time.time(), batch=batch)
        except CasemateError as error:
            self._note_stale(error)
            _LOG.error("Old records could not be deleted: %s", error)
            more = False
        self._unpruned = 0
        self._prune_due = time.monotonic() + (0 if more else _PRUNE_EVERY)

    def _give_up(self) -> None:
        with self._lock:
            self._lost += len(self._records)
            self._records.clear()
            self._queued_bytes = 0
            self._queued_denials = 0

    def _uncount(self, records: list[tuple[Queued, int]]) -> None:
        self._queued_bytes -= sum([size for _, size in records])
        self._queued_denials -= _denials(records)


def _denials(records: list[tuple[Queued, int]]) -> int:
    return sum([isinstance(entry, Denial) for entry, _ in records])


def _unforeseen(error: Exception) -> StoreError:
    failure = StoreError(
        f"The store failed in a way not foreseen: {type(error).__name__}: {error}.",
        next_step="Report this with the node's log.",
    )
    failure.__cause__ = error
    return failure
