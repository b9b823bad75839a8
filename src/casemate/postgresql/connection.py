"""One connection, as those of `casemate.sqlite` are: the same statements, rows, errors and names.

`as_engine` hands it to what is written over SQLite's. Any thread may use it, one at a time.
"""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, cast

import psycopg
from psycopg import pq

from casemate.postgresql import driver, faults
from casemate.postgresql.commit_times import CommitTimes
from casemate.postgresql.exchange import Exchanges, UnreadableAnswerError
from casemate.postgresql.session import IDLE_SECONDS, Session
from casemate.postgresql.statements import Translated, translated
from casemate.sqlite import engine
from casemate.sqlite.family import primary_code

_log = logging.getLogger(__name__)
Values = Sequence[object] | Mapping[str, object]
_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_CONTROL: Final = frozenset(
    {"ROLLBACK", "SAVEPOINT part", "ROLLBACK TO part", "RELEASE part"},
)
_NUMBER: Final = (b"SELECT pg_current_xact_id_if_assigned()::text", ())
_COMMIT: Final = (b"COMMIT", ())
_END_WHO_IS_AWAY: Final = """
    SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, {wait:d}))
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid() AND objsubid = 1
        AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND ((classid::bigint << 32) | objid::bigint) = {lock:d}
        AND wait_event IN ('ClientRead', 'ClientWrite')
        AND state_change < clock_timestamp() - interval '{idle:g} seconds'
"""
"""The server ends no transaction of a client that stopped half-way through what it sends, or that
does not read its answer: it does not count as idle, nor does any limit of statements hold there."""
_END_MILLISECONDS: Final = 2000
_READS_UNASKED: Final = 8
_MANY: Final = 500
"""Statements of one exchange."""
HELD_SECONDS: Final = 1.0
"""How long the lock is not asked for again after it was waited for in vain."""
_ENDED: Final = frozenset({pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR})


class Watch(Protocol):
    """Follows what is committed on a connection."""

    def is_behind(self) -> bool:
        """Tell whether the server was left behind: another has its place."""

    def acknowledged(self, number: int) -> bool:
        """Remember a transaction before it is told; False if the server was left behind."""


class Cursor:
    """The rows of a statement, all of which are here already."""

    __slots__ = ("_connection", "_rows", "rowcount")

    def __init__(self, connection: Connection, rows: list[tuple[Any, ...]], count: int) -> None:
        self._connection = connection
        self._rows = iter(rows)
        self.rowcount = count

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row, None after the last."""
        return next(self._rows, None)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows that are left."""
        return list(self._rows)

    def close(self) -> None:
        """Forget the rows that are left."""
        self._rows = iter(())

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Return the rows that are left, one after the other."""
        return self._rows

    @property
    def lastrowid(self) -> int:
        """The highest number that this connection has given to a row. Asks the server."""
        (number,) = self._connection.execute("SELECT lastval()").fetchone() or (0,)
        return int(number)


class Connection:
    """A connection to one schema. Outside of transactions each statement is one."""

    terms: Any = None
    """What those who use it have to know of it (`casemate.data.terms`)."""

    def __init__(self, found: Session, lock: int) -> None:
        """Use `found`, which is set up. A transaction that changes takes the lock first.

        It is a number that all who write the same data have in common: so one of them writes at a
        time, and sees what was committed before, which is what SQLite gives.
        """
        self.server = found.life
        """Which server it is."""
        self._server = found.server
        self._exchanges = Exchanges(found.server)
        self._watch: Watch | None = None
        self.commits = CommitTimes()
        """Of all connections that write here, one after the other, where somebody asks for it."""
        self._locking = f"SELECT pg_advisory_xact_lock({int(lock):d})"
        self._lock = int(lock)
        self.idle_seconds: float = IDLE_SECONDS
        """After which whoever holds the lock and is waited for by the server is ended."""
        self._writes = False
        self._warned = ""
        self._held: tuple[float, engine.Error] | None = None
        self._server.add_notice_handler(self._noticed)

    def execute(self, statement: str, values: Values = (), /) -> Cursor:
        """Do one statement. Raises the engine's errors."""
        if statement in _CONTROL:
            return self._plainly(statement)
        if statement == "BEGIN IMMEDIATE":
            return self._begin()
        if statement == "BEGIN":
            self._writes = False
            return self._plainly(_READ)
        if statement == "COMMIT":
            return self._commit()
        wanted = translated(statement)
        return self._ask((), [(wanted, wanted.values(values))])[0]

    def executemany(self, statement: str, rows: Iterable[Values], /) -> Cursor:
        """Do one statement for each of many values, in few exchanges with the server."""
        wanted: Translated = translated(statement)
        given = [(wanted, wanted.values(row)) for row in rows]
        changed = 0
        for at in range(0, len(given), _MANY):
            changed += sum(done.rowcount for done in self._ask((), given[at : at + _MANY]))
        return Cursor(self, [], changed)

    def define(self, statement: str) -> None:
        """Do a statement in PostgreSQL's own words that is written in the code."""
        self._plainly(statement)

    def watched(self, watch: Watch) -> None:
        """From now on tell `watch` what was committed, and be of no use once it says so."""
        self._watch = watch

    @property
    def in_transaction(self) -> bool:
        """Whether there is something to commit or to undo."""
        return self._server.info.transaction_status in _ENDED

    def has_ended(self) -> bool:
        """Tell whether the connection is closed, or the server has closed it. Does not block.

        One to a server that was left behind has ended as well.
        """
        if self._server.closed or self.is_behind():
            return True
        waiting = select.poll()
        waiting.register(self._server.pgconn.socket, select.POLLIN)
        for _ in range(_READS_UNASKED):  # of notices, or of the reason for the end before the end
            if not waiting.poll(0):
                return False
            try:
                self._server.pgconn.consume_input()
            except psycopg.Error:
                self._server.close()
                return True
        return bool(self._server.closed or self._server.broken)

    def is_behind(self) -> bool:
        """Tell whether the server was left behind by another."""
        return self._watch is not None and self._watch.is_behind()

    def close(self) -> None:
        """End the connection; what was not committed is undone."""
        with suppress(psycopg.Error):
            self._server.close()

    @property
    def raw(self) -> driver.Connection:
        """The client library's connection, for what is copied in bulk."""
        return self._server

    def as_engine(self) -> engine.Connection:
        """Return it as what the operations' functions take; they use no more than there is here."""
        return cast("engine.Connection", self)

    def _begin(self) -> Cursor:
        if self._held is not None and time.monotonic() < self._held[0]:
            raise self._held[1].with_traceback(None)
        try:
            self._entered()
        except engine.Error as error:
            if primary_code(error) != engine.BUSY:
                raise
            try:
                if not self._end_who_is_away():
                    raise
                self._entered()
            except engine.Error:
                # Each of those who wait behind this one would wait as long for nothing.
                self._held = (time.monotonic() + HELD_SECONDS, error)
                raise
        self._writes = True
        return Cursor(self, [], -1)

    def _entered(self) -> None:
        """Begin a transaction, or leave none behind."""
        try:
            self._enter()
        except engine.Error:
            if self.in_transaction:
                with suppress(engine.Error):
                    self._plainly("ROLLBACK")
            raise

    def _end_who_is_away(self) -> bool:
        """End the transaction that holds the lock if its node has stopped in the middle of it.

        Whoever commits is not waited for by the server, and is left alone. A role may end what is
        its own: nodes that have another each leave it alone as well.
        """
        asked = _END_WHO_IS_AWAY.format(
            lock=self._lock, idle=self.idle_seconds, wait=_END_MILLISECONDS
        )
        with suppress(psycopg.Error):
            (ended,) = self._server.execute(asked.encode()).fetchone() or (0,)
            if ended:
                _log.warning("a node that held the lock and has stopped was ended by the server")
            return bool(ended)
        return False

    def _enter(self) -> None:
        """Begin a transaction, and wait for the lock."""
        self._plainly(f"BEGIN; {self._locking}")

    def _commit(self) -> Cursor:
        writes, self._writes = self._writes, False
        self._warned = ""
        # In a transaction that has failed nothing can be asked; to commit it undoes it.
        watch = self._watch if writes and self._is_sound() else None
        asked = (_COMMIT,) if watch is None else (_NUMBER, _COMMIT)
        try:
            with self.commits.timed():
                *numbers, committed = self._exchanges.send((), asked)
            number = numbers[0].rows[0][0] if numbers else None
            done = committed.done
        except psycopg.Error as error:
            raise faults.told(error, committing=writes) from error
        except (UnreadableAnswerError, LookupError) as error:
            raise faults.unsure("the answer to a commit cannot be read") from error
        if writes and done == "ROLLBACK":
            raise faults.undone("a statement had failed, so the transaction was undone")
        if writes and done != "COMMIT":
            raise faults.unsure("the server answers a commit with something else")
        if writes and self._warned:
            # Such as of a wait for the standby that was broken off: kept here, perhaps only here.
            raise faults.unsure(self._warned)
        if watch is not None and number is not None and not watch.acknowledged(int(number)):
            raise faults.unsure("another server has taken the place of this one")
        return Cursor(self, [], -1)

    def _is_sound(self) -> bool:
        return self._server.info.transaction_status == pq.TransactionStatus.INTRANS

    def _plainly(self, statement: str) -> Cursor:
        try:
            self._server.execute(statement.encode())
        except psycopg.Error as error:
            raise self._told(error) from error
        return Cursor(self, [], -1)

    def _ask(
        self, words: Sequence[str], asked: Sequence[tuple[Translated, list[object]]]
    ) -> list[Cursor]:
        """Say words, do statements; return what each of the latter is answered."""
        statements = [(wanted.text.encode(), given) for wanted, given in asked]
        try:
            answers = self._exchanges.send([word.encode() for word in words], statements)
        except psycopg.Error as error:
            raise self._told(error) from error
        except UnreadableAnswerError as error:
            raise faults.unreadable(str(error)) from error
        return [Cursor(self, answer.rows, answer.changed) for answer in answers]

    def _told(self, error: psycopg.Error) -> engine.Error:
        return faults.told(error, lost=bool(self._server.closed or self._server.broken))

    def _noticed(self, notice: psycopg.errors.Diagnostic) -> None:
        if (notice.severity_nonlocalized or notice.severity) == "WARNING":
            self._warned = faults.one_line(notice.message_primary or "a warning")
