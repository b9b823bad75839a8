"""The one thread that changes a database, with group commit.

Whatever waits when a transaction begins goes into it, so that many changes share one fsync. A
change is answered after the commit that holds it, never before.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from casemate.model.errors import CasemateError
from casemate.sqlite import engine
from casemate.sqlite.answers import Answers, Waiter
from casemate.sqlite.commit_guard import is_condemned
from casemate.sqlite.duties import Duties, WriterConnections
from casemate.sqlite.errors import DatabaseError, DatabaseGoneError, DatabaseUnsureError
from casemate.sqlite.family import VALUE_ERRORS
from casemate.sqlite.joint import Joint, parts
from casemate.sqlite.transaction import savepoint, transaction

T = TypeVar("T")
W = TypeVar("W")
Job = Callable[[engine.Connection], tuple[engine.Connection | None, Any]]
"""Work outside of transactions. Returns the connection to go on with, None for a new one."""
Undo = Callable[[], None]
_NEVER = float("inf")

_TRIAL_SECONDS = 1.0
"""Between two trials whether a database that did not take a change takes any."""
_LOG = logging.getLogger(__name__)


class _Entry(NamedTuple):
    waiter: Waiter | None
    change: Callable[[Any], Any] | Joint[Any] | None
    job: Job | None
    undo: Undo | None


class Writer(Generic[W]):
    """Owns a connection from `start` to `stop` and uses it on its own thread."""

    def __init__(
        self,
        connection: engine.Connection,
        connections: WriterConnections,
        duties: Duties[W],
        *,
        name: str,
        upkeep_seconds: float,
        changes_per_commit: int,
    ) -> None:
        """Write by `connection`, one of `connections`, which give another where it fails.

        `name` is the thread's. Upkeep is done every so many seconds, at once if there is more.
        """
        self.connection = connection
        self._connections = connections
        self._family = connections.family
        self._duties = duties
        self._upkeep_seconds = upkeep_seconds
        self._changes_per_commit = changes_per_commit
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        # The condition guards the two fields below it; it is never held during I/O.
        self._wake = threading.Condition(threading.Lock())
        self._queue: deque[_Entry] = deque()
        self._stopping = False

        # The writer's thread alone uses these.
        self._stale = False
        """The connection is of no use any more."""
        self._upkeep_due = time.monotonic() + upkeep_seconds
        self._trial_due = _NEVER
        self._tried_at = 0.0

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def submit(self, change: Callable[[W], T] | Joint[W]) -> asyncio.Future[T]:
        """Queue a change; the future has its result once it is durable. Raises `closed`.

        A change whose awaiter is cancelled is made all the same.
        """
        waiter = Waiter.of_running_loop()
        with self._wake:
            self.require_open()
            is_first = not self._queue
            self._queue.append(_Entry(waiter, change, None, None))
        if is_first:
            # Once the loop has been through what it does now: of those who were answered together
            # all send again by then, and what they send is one transaction.
            waiter.loop.call_soon(self._notify)
        return waiter.future

    def enqueue(
        self, waiter: Waiter, change: Callable[[W], Any] | Joint[W], undo: Undo | None = None
    ) -> None:
        """Queue a change from any thread; `undo` is called when it was refused or failed."""
        self._add(_Entry(waiter, change, None, undo))

    def submit_job(self, job: Job) -> asyncio.Future[Any]:
        """Queue work outside of transactions; the future has its result."""
        waiter = Waiter.of_running_loop()
        self._add(_Entry(waiter, None, job, None))
        return waiter.future

    def enqueue_job(self, job: Job) -> None:
        """Queue a job from any thread, which itself tells whoever waits for it."""
        self._add(_Entry(None, None, job, None))

    def require_open(self) -> None:
        """Raise `closed` once the writer ends. The condition is held."""
        if self._stopping:
            raise self._family.closed.of()

    def stop(self) -> None:
        """Write what is queued, end the thread, close the connection. Blocks."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()
        self._connections.written.worked()
        self._connections.end(self.connection)

    def _add(self, entry: _Entry) -> None:
        with self._wake:
            self.require_open()
            self._queue.append(entry)
            self._wake.notify()

    def _notify(self) -> None:
        with self._wake:
            self._wake.notify()

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            if batch and batch[0].job is not None:
                self._run_job(batch[0].waiter, batch[0].job)
            elif batch:
                self._write(batch)
            if time.monotonic() >= self._trial_due:
                self._try_write()
            if self._is_upkeep_due():
                self._run_upkeep()

    def _next(self) -> list[_Entry] | None:
        """Block until there is something to do; None when all is done and we stop."""
        with self._wake:
            while not self._queue:
                if self._stopping:
                    return None
                seconds = min(self._upkeep_due, self._trial_due) - time.monotonic()
                if seconds <= 0:
                    break
                self._wake.wait(seconds)
            return self._take()

    def _take(self) -> list[_Entry]:
        """Return the changes of the next transaction; a job goes alone and in its turn."""
        batch: list[_Entry] = []
        while self._queue and len(batch) < self._changes_per_commit:
            if self._queue[0].job is not None:
                return batch or [self._queue.popleft()]
            batch.append(self._queue.popleft())
        return batch

    def _write(self, batch: list[_Entry]) -> None:
        """Commit all of it at once; should that fail, each change on its own."""
        answers = Answers()
        refused: list[_Entry] = []
        try:
            self._renew_if_stale()
            work = self._duties.begin(self.connection)
            try:
                with transaction(self.connection, self._family, self._connections.guard):
                    for part in parts(batch, _joint):
                        refused += self._apply(part, work, answers)
            finally:
                self._duties.end()
        except CasemateError as error:
            self._note_stale(error)
            self._handle_failure(batch, error)
        except Exception as error:  # noqa: BLE001 - a dead thread would answer nobody
            self._note_stale(error)
            self._log_surprise("A transaction failed in a way not foreseen", error)
            self._handle_failure(batch, self._family.surprised(error))
        else:
            self._duties.committed(work)
            for entry in refused:
                _call_undo(entry)
            answers.send()

    def _note_stale(self, error: Exception) -> None:
        self._stale = self._stale or is_condemned(error)

    def _renew_if_stale(self) -> None:
        if self._stale or self._connections.has_ended(self.connection):
            self.connection = self._connections.renew_writer(self.connection)
            self._stale = False

    def _apply(self, part: Sequence[_Entry], work: W, answers: Answers) -> list[_Entry]:
        """Make changes together; return those that were refused.

        What is wrong with one of them is its answer, and the others are made; a failing medium
        raises.
        """
        mark = self._duties.mark(work)
        try:
            with savepoint(self.connection):
                values = _made(part, work)
        except CasemateError as error:
            failure: Exception = error
        except VALUE_ERRORS as error:
            failure = self._family.unstorable(error)
        except (engine.Error, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - a dead thread would answer nobody
            self._log_surprise("A change failed in a way not foreseen", error)
            failure = self._family.surprised(error)
        else:
            return _answer(part, values, answers)
        self._duties.forget(work, mark)
        if len(part) > 1:
            middle = len(part) // 2
            return [
                *self._apply(part[:middle], work, answers),
                *self._apply(part[middle:], work, answers),
            ]
        return _answer(part, [failure], answers)

    def _handle_failure(self, batch: list[_Entry], error: CasemateError) -> None:
        if isinstance(error, DatabaseUnsureError | DatabaseGoneError):
            # What was refused may come back with the log: made again it would be there twice,
            # and what it needs, such as a file beside the database, must stay.
            self._note_unwritten(error, len(batch))
            _refuse(batch, error)
        elif len(batch) > 1:
            # What one of them asks too much of must not fail the others.
            for entry in batch:
                self._write([entry])
        else:
            _call_undo(batch[0])
            told = self._connections.explain(error)
            self._note_unwritten(told)
            _refuse(batch, told)

    def _run_job(self, waiter: Waiter | None, job: Job) -> None:
        answers = Answers()
        failure: Exception | None = None
        value: Any = None
        self._duties.begin_job()
        try:
            self._renew_if_stale()
            connection, value = job(self.connection)
            if connection is None:
                self._stale = True
            else:
                self.connection = connection
                self._connections.note()
        except CasemateError as error:
            self._note_stale(error)
            failure = self._connections.explain(error)
            self._note_unwritten(failure)
        except Exception as error:  # noqa: BLE001 - a dead thread would answer nobody
            self._log_surprise("A job failed in a way not foreseen", error)
            failure = self._family.surprised(error)
        finally:
            self._duties.end_job()
        if waiter is None:
            return
        if failure is None:
            answers.add(waiter, value)
        else:
            answers.add_error(waiter, failure)
        answers.send()

    def _is_upkeep_due(self) -> bool:
        if self._duties.hurries():
            return True
        return not self._stopping and time.monotonic() >= self._upkeep_due

    def _run_upkeep(self) -> None:
        more = False
        try:
            self._renew_if_stale()
            work = self._duties.begin(self.connection)
            try:
                with transaction(self.connection, self._family, self._connections.guard):
                    more = self._duties.upkeep(work)
            finally:
                self._duties.end()
        except CasemateError as error:
            self._note_stale(error)
            self._note_unwritten(error)
            self._duties.upkeep_failed(error)
        except Exception as error:  # noqa: BLE001 - the next one may work
            self._note_stale(error)
            self._log_surprise("The upkeep failed in a way not foreseen", error)
            self._duties.upkeep_failed(self._family.surprised(error))
        else:
            self._duties.committed(work)
        self._upkeep_due = time.monotonic() + (0.0 if more else self._upkeep_seconds)

    def _note_unwritten(self, error: Exception, count: int = 1) -> None:
        """Have it told if the medium takes nothing, which a trial says.

        Not of a project that has used up its share, nor of one change that is too large.
        """
        if isinstance(error, DatabaseError):
            self._connections.written.failed(error.message, count, certain=False)
            due = max(time.monotonic(), self._tried_at + _TRIAL_SECONDS)
            self._trial_due = min(self._trial_due, due)

    def _try_write(self) -> None:
        """See whether anything can be written again: nobody else may for days."""
        self._tried_at = time.monotonic()
        failure: Exception | None = None
        try:
            self._renew_if_stale()
            with transaction(self.connection, self._family, self._connections.guard):
                self._connections.try_write(self.connection)
        except CasemateError as error:
            self._note_stale(error)
            failure = error
        except Exception as error:  # noqa: BLE001 - a dead thread would answer nobody
            self._note_stale(error)
            failure = self._family.surprised(error)
        if failure is None:
            self._connections.written.worked()
            self._trial_due = _NEVER
        else:
            self._connections.written.failed_again(str(failure))
            self._trial_due = self._tried_at + _TRIAL_SECONDS

    def _log_surprise(self, what: str, error: Exception) -> None:
        if self._family.shows_values:
            _LOG.error("%s.", what, exc_info=error)
        else:
            _LOG.error("%s: %s", what, type(error).__name__)


def _joint(entry: _Entry) -> Joint[Any] | None:
    return entry.change if isinstance(entry.change, Joint) else None


def _made(part: Sequence[_Entry], work: Any) -> Sequence[Any]:
    """Make changes that may be made together; return an answer for each."""
    first = part[0].change
    if isinstance(first, Joint):
        return first.make(work, [entry.change.given for entry in part])  # type: ignore[union-attr]
    return [None if first is None else first(work)]


def _answer(part: Sequence[_Entry], values: Sequence[Any], answers: Answers) -> list[_Entry]:
    """Prepare an answer for each; return those that are refused."""
    refused = []
    for entry, value in zip(part, values, strict=True):
        if isinstance(value, Exception):
            refused.append(entry)
            if entry.waiter is not None:
                answers.add_error(entry.waiter, value)
        elif entry.waiter is not None:
            answers.add(entry.waiter, value)
    return refused


def _refuse(batch: list[_Entry], error: Exception) -> None:
    answers = Answers()
    for entry in batch:
        if entry.waiter is not None:
            answers.add_error(entry.waiter, error)
    answers.send()


def _call_undo(entry: _Entry) -> None:
    if entry.undo is not None:
        try:
            entry.undo()
        except Exception:  # noqa: BLE001 - what is left over is swept at the next start
            _LOG.exception("What follows a refused change failed.")
