"""The one thread that changes a project's database, with group commit.

Whatever waits when a transaction begins goes into it, so that many changes share one fsync. A
change is answered after the commit that holds it, never before.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, TypeVar

from casemate.data.connections import Connections
from casemate.data.database import (
    VALUE_FAULTS,
    Connection,
    DatabaseFault,
    savepoint,
    transaction,
    translated,
    unstorable,
)
from casemate.data.errors import (
    CommitUnsureError,
    DataClosedError,
    DataError,
    DataGoneError,
)
from casemate.data.recent import RecentObjects
from casemate.model.errors import CasemateError
from casemate.sqlite.answers import Answers, Waiter
from casemate.sqlite.commit_guard import is_condemned

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_CHANGES_PER_COMMIT = 256


class Work:
    """What a change works with."""

    __slots__ = ("_after", "connection", "hints", "recent")

    def __init__(self, connection: Connection, recent: RecentObjects) -> None:
        self.connection = connection
        self.recent = recent
        """What changes an object has to drop it there before the commit."""
        self.hints: set[tuple[str, str]] = set()
        """Kind and name of queues and inboxes that may have something to lease."""
        self._after: list[Callable[[], None]] = []

    def after_commit(self, action: Callable[[], None]) -> None:
        """Call `action` on the writer's thread once the change is durable, before its answer."""
        self._after.append(action)

    def hint(self, kind: str, name: str) -> None:
        """Have those who watch told, after the commit, that a message can be leased or will be."""
        self.hints.add((kind, name))

    def mark(self) -> int:
        """Return how many actions wait, for `forget`."""
        return len(self._after)

    def forget(self, mark: int) -> None:
        """Forget the actions of a change that was undone."""
        del self._after[mark:]

    def committed(self) -> None:
        """Run the actions. None may fail the commit that already happened."""
        for action in self._after:
            try:
                action()
            except Exception:  # noqa: BLE001 - a dead thread would answer nobody
                _LOG.exception("What follows a commit failed.")


Change = Callable[[Work], Any]
Announce = Callable[[set[tuple[str, str]]], None]
Job = Callable[[Connection], tuple[Connection, Any]]


class _Entry(NamedTuple):
    waiter: Waiter
    change: Change | None
    job: Job | None
    undo: Callable[[], None] | None


class Writer:
    """Owns a connection from `start` to `stop` and uses it on its own thread."""

    def __init__(
        self,
        connection: Connection,
        connections: Connections,
        sweep: Callable[[Work], bool],
        recent: RecentObjects,
        *,
        every: float,
        name: str,
        announce: Announce,
    ) -> None:
        """Write by `connection`, one of `connections`, which give another where it fails.

        `sweep` is run every so many seconds, at once if it says so. `announce` gets the hints of
        each transaction, if it has any, on the writer's thread.
        """
        self.connection = connection
        self._connections = connections
        self._stale = False
        self._recent = recent
        self._sweep = sweep
        self._every = every
        self._announce = announce
        self._thread = threading.Thread(target=self._run, name=f"data-{name}", daemon=True)
        # The condition guards the two fields below it; it is never held during I/O.
        self._wake = threading.Condition(threading.Lock())
        self._queue: deque[_Entry] = deque()
        self._stopping = False
        self._sweep_due = time.monotonic() + every

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def submit(self, change: Callable[[Work], T]) -> asyncio.Future[T]:
        """Queue a change; the future has its result once it is durable. Raises DataClosedError.

        A change whose awaiter is cancelled is made all the same.
        """
        waiter = Waiter.of_running_loop()
        self.enqueue(waiter, change)
        return waiter.future

    def enqueue(
        self, waiter: Waiter, change: Change, undo: Callable[[], None] | None = None
    ) -> None:
        """Queue a change from any thread; `undo` is called when it was refused or failed."""
        self._add(_Entry(waiter, change, None, undo))

    def submit_job(self, job: Job) -> asyncio.Future[Any]:
        """Queue work outside of transactions, which returns the connection to go on with."""
        waiter = Waiter.of_running_loop()
        self._add(_Entry(waiter, None, job, None))
        return waiter.future

    def stop(self) -> None:
        """Write what is queued, end the thread, close the connection. Blocks."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()
        self._connections.closing()
        with suppress(DatabaseFault):
            self.connection.close()

    def _add(self, entry: _Entry) -> None:
        with self._wake:
            if self._stopping:
                raise DataClosedError(next_step="Send the request again.")
            self._queue.append(entry)
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._queue and not self._stopping:
                    pause = self._sweep_due - time.monotonic()
                    if pause <= 0:
                        break
                    self._wake.wait(pause)
                if self._stopping and not self._queue:
                    return
                batch = self._take()
            if batch and batch[0].job is not None:
                self._run_job(batch[0].waiter, batch[0].job)
            elif batch:
                self._write(batch)
            if time.monotonic() >= self._sweep_due and not self._stopping:
                self._run_sweep()

    def _take(self) -> list[_Entry]:
        """Return what the next transaction holds; a job goes alone and in its turn."""
        batch: list[_Entry] = []
        while self._queue and len(batch) < _CHANGES_PER_COMMIT:
            if self._queue[0].job is not None:
                return batch or [self._queue.popleft()]
            batch.append(self._queue.popleft())
        return batch

    def _write(self, batch: list[_Entry]) -> None:
        """Commit all of it at once; should that fail, each change on its own."""
        answers = Answers()
        work = Work(self.connection, self._recent)
        refused: list[_Entry] = []
        try:
            self._renew_if_stale()
            work.connection = self.connection
            with self._transaction():
                for entry in batch:
                    if not self._apply(entry, work, answers):
                        refused.append(entry)
        except CasemateError as error:
            self._handle_failure(batch, error)
        except Exception as error:  # noqa: BLE001 - a dead thread would answer nobody
            _LOG.error("A transaction failed in a way not foreseen: %s", type(error).__name__)
            self._handle_failure(batch, _unforeseen(error))
        else:
            self._committed(work)
            for entry in refused:
                _call_undo(entry)
            answers.send()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._recent.begin()
        try:
            with transaction(self.connection, self._connections.guard):
                yield
        except Exception as error:
            self._stale = self._stale or is_condemned(error)
            raise
        finally:
            self._recent.end()

    def _renew_if_stale(self) -> None:
        if self._stale:
            self.connection = self._connections.renew_writer(self.connection)
            self._stale = False

    def _committed(self, work: Work) -> None:
        work.committed()
        if work.hints:
            self._announce(work.hints)

    def _apply(self, entry: _Entry, work: Work, answers: Answers) -> bool:
        """Make one change. What is wrong with it alone is its answer; a failing medium raises."""
        mark = work.mark()
        change = entry.change
        try:
            with savepoint(self.connection):
                value = change(work) if change is not None else None
        except CasemateError as error:
            answers.add_error(entry.waiter, error)
        except VALUE_FAULTS as error:
            answers.add_error(entry.waiter, unstorable(error))
        except (DatabaseFault, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - a dead thread would answer nobody
            _LOG.error("A change failed in a way not foreseen: %s", type(error).__name__)
            answers.add_error(entry.waiter, _unforeseen(error))
        else:
            answers.add(entry.waiter, value)
            return True
        work.forget(mark)
        return False

    def _handle_failure(self, batch: list[_Entry], error: CasemateError) -> None:
        if isinstance(error, CommitUnsureError | DataGoneError):
            # What was refused may come back with the log: made again it would be there twice,
            # and what it needs, an object's file, must stay.
            answers = Answers()
            for entry in batch:
                answers.add_error(entry.waiter, error)
            answers.send()
            return
        if len(batch) > 1:
            # What one of them asks too much of must not fail the others.
            for entry in batch:
                self._write([entry])
            return
        _call_undo(batch[0])
        answers = Answers()
        answers.add_error(batch[0].waiter, self._connections.explain(error))
        answers.send()

    def _run_job(self, waiter: Waiter, job: Job) -> None:
        answers = Answers()
        self._recent.begin()
        try:
            self._renew_if_stale()
            self.connection, value = job(self.connection)
            with translated():
                self._connections.guard.committed()
        except CasemateError as error:
            self._stale = self._stale or is_condemned(error)
            answers.add_error(waiter, self._connections.explain(error))
        except Exception as error:  # noqa: BLE001 - a dead thread would answer nobody
            _LOG.error("A job failed in a way not foreseen: %s", type(error).__name__)
            answers.add_error(waiter, _unforeseen(error))
        else:
            answers.add(waiter, value)
        finally:
            self._recent.clear()
            self._recent.end()
        answers.send()

    def _run_sweep(self) -> None:
        more = False
        try:
            self._renew_if_stale()
            work = Work(self.connection, self._recent)
            with self._transaction():
                more = self._sweep(work)
        except CasemateError as error:
            _LOG.error("Expired data could not be deleted: %s", error)
        except Exception as error:  # noqa: BLE001 - the next sweep may work
            _LOG.error("The sweep failed in a way not foreseen: %s", type(error).__name__)
        else:
            self._committed(work)
        self._sweep_due = time.monotonic() + (0.0 if more else self._every)


def _call_undo(entry: _Entry) -> None:
    if entry.undo is not None:
        try:
            entry.undo()
        except Exception:  # noqa: BLE001 - what is left over is swept at the next start
            _LOG.exception("What follows a refused change failed.")


def _unforeseen(error: Exception) -> DataError:
    """Return an error without the text of `error`, which may show values."""
    failure = DataError(
        f"The project's data failed in a way not foreseen: {type(error).__name__}.",
        next_step="Report this with the node's log.",
    )
    failure.__cause__ = error
    return failure
