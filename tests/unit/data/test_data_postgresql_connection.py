"""Savepoints that travel with what needs them do what they say, in any order."""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from casemate.data.postgresql.connection import ProjectConnection
from casemate.postgresql import session
from casemate.postgresql.settings import Settings
from casemate.sqlite import engine
from casemate.sqlite.transaction import savepoint
from support.database import Server


@pytest.fixture
def connection(postgresql_server: Server) -> Iterator[ProjectConnection]:
    settings = Settings.of_url(postgresql_server.url(postgresql_server.database()))
    made = ProjectConnection(session.connected(settings, "public"), 1)
    made.define("CREATE TABLE public.kept (number bigint PRIMARY KEY)")
    made.execute("BEGIN IMMEDIATE")
    yield made
    made.close()


def keep(connection: ProjectConnection, number: int) -> None:
    connection.execute("INSERT INTO kept (number) VALUES (?)", (number,))


def there(connection: ProjectConnection) -> list[int]:
    connection.execute("COMMIT")
    return [row[0] for row in connection.execute("SELECT number FROM kept ORDER BY number")]


class Refused(Exception):
    """A change is refused."""


def test_each_change_is_undone_alone(connection: ProjectConnection) -> None:
    part = connection.as_engine()
    for number in range(6):
        try:
            with savepoint(part):
                keep(connection, number)
                if number % 3 == 1:
                    raise Refused
                if number % 3 == 2:
                    keep(connection, 0)
        except (Refused, engine.IntegrityError):
            continue
    assert there(connection) == [0, 3]


def test_one_inside_of_another(connection: ProjectConnection) -> None:
    part = connection.as_engine()
    with savepoint(part):
        with savepoint(part):
            keep(connection, 1)
        with pytest.raises(Refused), savepoint(part):
            keep(connection, 2)
            raise Refused
        keep(connection, 3)
    with pytest.raises(Refused), savepoint(part):
        with savepoint(part):
            keep(connection, 4)
        raise Refused  # what is released inside goes with what is around it
    with savepoint(part), savepoint(part):
        pass
    with pytest.raises(Refused), savepoint(part):
        raise Refused
    connection.executemany("INSERT INTO kept (number) VALUES (?)", [(5,), (6,)])
    assert there(connection) == [1, 3, 5, 6]


def said_by(connection: ProjectConnection, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    exchange = connection._exchange

    def noted(words: Any, asked: Any) -> Any:
        said.extend(words)
        return exchange(words, asked)

    monkeypatch.setattr(connection, "_exchange", noted)
    return said


def test_those_that_begin_where_another_does_are_one_for_the_server(
    connection: ProjectConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: each was made, and each released."""
    part, said = connection.as_engine(), said_by(connection, monkeypatch)
    with savepoint(part), savepoint(part), savepoint(part):
        keep(connection, 1)
    keep(connection, 2)
    assert said == ["SAVEPOINT part", "RELEASE part"]
    with pytest.raises(Refused), savepoint(part):
        with pytest.raises(Refused), savepoint(part), savepoint(part):
            keep(connection, 3)
            raise Refused
        keep(connection, 4)
        raise Refused
    with savepoint(part):
        with savepoint(part), savepoint(part):
            keep(connection, 5)
        with pytest.raises(Refused), savepoint(part), savepoint(part):
            keep(connection, 6)
            raise Refused
        keep(connection, 7)
    assert there(connection) == [1, 2, 5, 7]


def test_many_in_one_statement_are_undone(connection: ProjectConnection) -> None:
    part = connection.as_engine()
    with pytest.raises(engine.IntegrityError), savepoint(part):
        connection.executemany("INSERT INTO kept (number) VALUES (?)", [(1,), (1,)])
    keep(connection, 2)
    assert there(connection) == [2]


def test_a_transaction_that_is_undone_leaves_nothing_to_release(
    connection: ProjectConnection,
) -> None:
    part = connection.as_engine()
    with savepoint(part):
        keep(connection, 1)
    connection.execute("ROLLBACK")
    connection.execute("BEGIN IMMEDIATE")
    with savepoint(part):
        keep(connection, 2)
    assert there(connection) == [2]


INSERT = "INSERT INTO kept (number) VALUES (?)"


def test_what_is_done_later_is_done_before_the_next(connection: ProjectConnection) -> None:
    part = connection.as_engine()
    with savepoint(part):
        answer = connection.later("SELECT count(*) FROM kept", ())
        connection.later(INSERT, (1,))
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1,)
        assert answer.fetchall() == [(0,)]
        asked = connection.later("SELECT count(*) FROM kept", ())
        assert asked.fetchall() == [(1,)]  # asked for, so done now
        for number in range(2, 30):  # more than may wait
            connection.later(INSERT, (number,))
    connection.later(INSERT, (30,))
    assert there(connection) == list(range(1, 31))


def test_what_fails_later_fails_its_own_part(connection: ProjectConnection) -> None:
    part = connection.as_engine()
    keep(connection, 1)
    with pytest.raises(engine.IntegrityError), savepoint(part):
        connection.later(INSERT, (2,))
        connection.later(INSERT, (1,))
        connection.later(INSERT, (3,))
    with savepoint(part):
        connection.later(INSERT, (4,))
    assert there(connection) == [1, 4]


def test_what_was_to_be_done_later_is_undone_with_its_part(connection: ProjectConnection) -> None:
    part = connection.as_engine()
    with savepoint(part):
        connection.later(INSERT, (1,))
        with pytest.raises(Refused), savepoint(part):
            connection.later(INSERT, (2,))
            raise Refused
        connection.later(INSERT, (3,))
    with pytest.raises(Refused), savepoint(part):
        connection.later(INSERT, (4,))
        raise Refused
    connection.later(INSERT, (5,))
    assert there(connection) == [1, 3, 5]
    connection.execute("BEGIN IMMEDIATE")
    connection.later(INSERT, (6,))
    connection.execute("ROLLBACK")
    connection.execute("BEGIN IMMEDIATE")
    assert there(connection) == [1, 3, 5]


def test_a_commit_of_what_failed_is_none(connection: ProjectConnection) -> None:
    keep(connection, 1)
    connection.later(INSERT, (1,))
    with pytest.raises(engine.IntegrityError):
        connection.execute("COMMIT")
    assert connection.in_transaction
    connection.execute("ROLLBACK")
    connection.execute("BEGIN IMMEDIATE")
    assert there(connection) == []


def test_a_beginning_asks_what_it_is_to_ask_under_the_lock(
    connection: ProjectConnection, postgresql_server: Server
) -> None:
    connection.execute("COMMIT")
    connection.along = ("SELECT count(*), ? FROM kept", (7,))
    connection.execute("BEGIN IMMEDIATE")
    assert connection.begun == (0, 7)
    keep(connection, 1)
    connection.execute("COMMIT")
    connection.execute("BEGIN IMMEDIATE")
    assert connection.begun == (1, 7)
    connection.execute("ROLLBACK")
    connection.along = ("SELECT nothing FROM kept", ())
    with pytest.raises(engine.OperationalError):
        connection.execute("BEGIN IMMEDIATE")
    assert not connection.in_transaction
    assert connection.begun is None
    connection.along = None
    connection.execute("BEGIN IMMEDIATE")
    assert there(connection) == [1]


def exchange_nothing(connection: ProjectConnection) -> None:
    """What BEGIN has said is the last."""


def exchange_one(connection: ProjectConnection) -> None:
    with savepoint(connection.as_engine()):
        keep(connection, 8)
        keep(connection, 9)


def exchange_failing(connection: ProjectConnection) -> None:
    with pytest.raises(engine.IntegrityError), savepoint(connection.as_engine()):
        connection.later(INSERT, (8,))
        keep(connection, 8)


def exchange_many(connection: ProjectConnection) -> None:
    connection.executemany(INSERT, [(8,), (9,)])


@pytest.mark.parametrize(
    "exchange", [exchange_nothing, exchange_one, exchange_failing, exchange_many]
)
def test_who_is_frozen_in_a_transaction_does_not_keep_the_lock(
    connection: ProjectConnection, exchange: Callable[[ProjectConnection], None]
) -> None:
    """Before: it did, as long as it was frozen or cut off, and all other nodes waited."""
    connection.execute("COMMIT")
    connection.define("SET idle_in_transaction_session_timeout = '300ms'")
    connection.along = ("SELECT 1", ())
    connection.execute("BEGIN IMMEDIATE")
    exchange(connection)
    deadline = time.monotonic() + 5
    while not connection.has_ended() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert connection.has_ended()


def another(connection: ProjectConnection, lock: int = 1) -> ProjectConnection:
    """Return that of another node."""
    settings = Settings.of_url(
        f"postgresql://{connection._server.info.user}@:"
        f"{connection._server.info.port}/{connection._server.info.dbname}"
        f"?host={connection._server.info.host}"
    )
    return ProjectConnection(session.connected(settings, "public"), lock)


def sent(kind: bytes, body: bytes, left_out: int = 0) -> bytes:
    """Return a message of the protocol, or the beginning of one."""
    whole = kind + struct.pack("!i", len(body) + 4) + body
    return whole[: len(whole) - left_out]


PARSE = sent(b"P", b"\0SELECT 1\0\0\0")
ENDLESS = b"SELECT repeat('x', 1000) FROM generate_series(1, 100000)\0"


@pytest.mark.parametrize(
    "half",
    [
        sent(b"P", b"\0SELECT 1\0\0\0", left_out=4),
        PARSE,
        PARSE + sent(b"B", bytes(8)),
        sent(b"Q", ENDLESS),  # and nobody reads the answer
    ],
    ids=["half a message", "no sync", "no execute", "not read"],
)
def test_who_is_frozen_while_it_sends_or_is_answered_does_not_keep_the_lock(
    connection: ProjectConnection, half: bytes
) -> None:
    """Before: PostgreSQL has no limit for that, and all other nodes waited as long as it froze."""
    os.write(connection._server.pgconn.socket, half)
    other = another(connection)
    other.define("SET lock_timeout = '200ms'")
    other.idle_seconds = 30.0
    with pytest.raises(engine.OperationalError, match="lock timeout"):
        other.execute("BEGIN IMMEDIATE")  # it may still go on
    time.sleep(1.1)  # for so long the lock is not asked for again
    other.idle_seconds = 0.5
    other.execute("BEGIN IMMEDIATE")
    keep(other, 7)
    assert there(other) == [7]
    other.close()


def test_who_waits_for_a_lock_ends_no_others(connection: ProjectConnection) -> None:
    """Neither who has another lock, nor who works: what is idle in between the server ends."""
    os.write(connection._server.pgconn.socket, PARSE)
    elsewhere, holder, other = (another(connection, lock=2) for _ in range(3))
    holder.execute("BEGIN IMMEDIATE")
    working = threading.Thread(target=holder.execute, args=("SELECT pg_sleep(1.5)",))
    working.start()
    for one in (elsewhere, other):
        one.define("SET lock_timeout = '200ms'")
        one.idle_seconds = 0.1
        with pytest.raises(engine.OperationalError, match="lock timeout"):
            one.execute("BEGIN IMMEDIATE")
    working.join()
    holder.execute("COMMIT")
    assert not connection.has_ended()
    for one in (elsewhere, holder, other):
        one.close()


def test_a_beginning_sees_what_was_committed_while_it_waited(
    connection: ProjectConnection,
) -> None:
    other = another(connection)
    other.along = ("SELECT count(*) FROM kept", ())
    waiting = threading.Thread(target=lambda: other.execute("BEGIN IMMEDIATE"))
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()  # behind the lock of the first
    keep(connection, 1)
    connection.execute("COMMIT")
    waiting.join(10)
    assert other.begun == (1,)
    other.close()
