"""Transactions, savepoints and errors, as on the connections of SQLite."""

from __future__ import annotations

import threading
import time
from typing import NoReturn

import pytest
from postgresql_samples import changing, connect

from casemate.postgresql import driver
from casemate.postgresql.connection import Connection
from casemate.postgresql.exchange import Exchanges
from casemate.sqlite import engine
from casemate.sqlite.commit_guard import is_condemned
from casemate.sqlite.errors import DatabaseUnsureError
from casemate.sqlite.family import primary_code
from casemate.sqlite.transaction import savepoint, transaction
from casemate.store.postgresql.faults import STORE_SERVER

INSERT = "INSERT INTO t (b) VALUES (?)"


def rows(connection: Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT b FROM t ORDER BY a")]


def test_a_part_is_undone_and_the_rest_stands(connection: Connection) -> None:
    one = connection.as_engine()
    with transaction(one, STORE_SERVER):
        one.execute(INSERT, ("kept",))
        with pytest.raises(engine.IntegrityError), savepoint(one):
            one.execute(INSERT, ("undone",))
            one.execute("INSERT INTO t (a) VALUES (?)", (None,))
        with pytest.raises(ValueError), savepoint(one):
            one.execute(INSERT, ("undone",))
            with savepoint(one):
                one.execute(INSERT, ("undone too",))
            raise ValueError
        one.execute(INSERT, ("kept as well",))
    assert rows(connection) == ["kept", "kept as well"]
    with pytest.raises(ValueError), transaction(one, STORE_SERVER):
        one.execute("DELETE FROM t")
        raise ValueError
    assert len(rows(connection)) == 2
    assert not connection.in_transaction


def test_numbers_of_rows_and_how_many(connection: Connection) -> None:
    with changing(connection):
        first = connection.execute(INSERT, ("x",)).lastrowid
        assert connection.execute(INSERT, ("y",)).lastrowid == first + 1
        assert connection.execute(f"{INSERT}, (?), (?)", ("1", "2", "3")).lastrowid == first + 4
        assert connection.executemany(INSERT, [("z",), ("z",)]).rowcount == 2
        assert connection.executemany(INSERT, []).rowcount == 0
        assert connection.execute("UPDATE t SET c = 1 WHERE b = ?", ("z",)).rowcount == 2
        cursor = connection.execute("SELECT b FROM t ORDER BY a")
        assert cursor.fetchone() == ("x",)
        assert len(cursor.fetchall()) == 6
        assert cursor.fetchone() is None
        assert connection.execute("DELETE FROM t").fetchall() == []


def test_what_cannot_be_stored_is_told_without_its_value(connection: Connection) -> None:
    with pytest.raises(engine.IntegrityError) as broken:
        connection.executemany("INSERT INTO t (a, b) VALUES (5, ?)", [("s3cret",), ("s3cret",)])
    assert "t_pkey" in str(broken.value)
    for bad in ("nul\0", "lone \ud800"):
        with pytest.raises((engine.DataError, UnicodeEncodeError)) as error:
            connection.execute(INSERT, (bad,))
        assert not is_condemned(error.value)
    with pytest.raises(engine.DataError) as error:
        connection.execute("SELECT CAST(? AS INTEGER)", ("s3cret",))
    assert "s3cret" not in f"{broken.value} {error.value}"
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_statement_that_is_wrong_is_an_error_of_the_engine(connection: Connection) -> None:
    for statement in ("SELECT nothing FROM t", "SELEC 1", "SELECT 1; SELECT 2"):
        with pytest.raises(engine.OperationalError) as error:
            connection.execute(statement)
        assert not is_condemned(error.value)


def test_one_writes_at_a_time_and_sees_what_the_other_committed(
    connection: Connection, url: str
) -> None:
    other = connect(url)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(INSERT, ("first",))
    seen: list[str] = []

    def write() -> None:
        with changing(other):
            seen.extend(rows(other))
            other.execute(INSERT, ("second",))

    thread = threading.Thread(target=write)
    thread.start()
    time.sleep(0.1)
    assert seen == []
    connection.execute("COMMIT")
    thread.join(10)
    assert seen == ["first"]
    assert rows(connection) == ["first", "second"]
    other.close()


def test_a_lock_that_is_held_too_long_is_busy_and_leaves_no_transaction(
    connection: Connection, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = connect(url)
    other.define("SET lock_timeout = '50ms'")
    with changing(connection):
        connection.execute(INSERT, ("x",))
        with pytest.raises(engine.OperationalError) as error:
            other.execute("BEGIN IMMEDIATE")
        assert primary_code(error.value) == engine.BUSY
        assert not other.in_transaction
        assert rows(other) == []
        # Those behind it do not wait as long again, each for itself: at a moment that stays the
        # same, as a busy machine may take longer for them than that holds.
        began, clock = time.monotonic(), time.perf_counter()
        monkeypatch.setattr("casemate.postgresql.connection.time.monotonic", lambda: began)
        for _ in range(2000):
            with pytest.raises(engine.OperationalError) as error:
                other.execute("BEGIN IMMEDIATE")
            assert primary_code(error.value) == engine.BUSY
        assert time.perf_counter() - clock < 2000 * 0.05 / 2
    monkeypatch.setattr("casemate.postgresql.connection.time.monotonic", lambda: began + 60)
    with changing(other):
        assert rows(other) == ["x"]
    other.close()


def test_a_question_in_a_transaction_sees_one_state(connection: Connection, url: str) -> None:
    other = connect(url)
    other.execute("BEGIN")
    assert rows(other) == []
    connection.execute(INSERT, ("new",))
    assert rows(other) == []
    with pytest.raises(engine.OperationalError):
        other.execute("DELETE FROM t")
    other.execute("ROLLBACK")
    assert rows(other) == ["new"]
    other.close()


def test_a_commit_that_was_turned_into_the_opposite_is_an_error(connection: Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(INSERT, ("lost",))
    with pytest.raises(engine.Error):
        connection.execute("SELECT 1 / 0")
    with pytest.raises(engine.OperationalError, match="undone") as error:
        connection.execute("COMMIT")
    assert not is_condemned(error.value)
    assert rows(connection) == []


def test_a_commit_with_a_warning_is_unsure_not_done(connection: Connection) -> None:
    """The server warns so when a wait for its standby was broken off."""
    connection.define(
        "CREATE OR REPLACE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE WARNING 'might not have been replicated'; RETURN NULL; END $$; "
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION warn()"
    )
    try:
        with (
            pytest.raises(DatabaseUnsureError, match="might not"),
            transaction(connection.as_engine(), STORE_SERVER),
        ):
            connection.execute(INSERT, ("there all the same",))
        assert rows(connection) == ["there all the same"]
    finally:
        connection.define("DROP TRIGGER late ON t")


def test_a_commit_whose_answer_is_lost_is_unsure_and_one_before_it_is_not(
    connection: Connection, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    doomed = connect(url)
    received = Exchanges._received

    def cut(self: Exchanges, expected: int) -> NoReturn:
        received(self, expected)
        raise driver.psycopg.OperationalError("the server closed the connection")

    with (
        pytest.raises(DatabaseUnsureError),
        transaction(doomed.as_engine(), STORE_SERVER),
    ):
        doomed.execute(INSERT, ("committed",))
        monkeypatch.setattr(Exchanges, "_received", cut)
    monkeypatch.undo()
    assert rows(connection) == ["committed"]
    assert doomed.has_ended()

    doomed = connect(url)
    with pytest.raises(engine.OperationalError) as error:
        doomed.execute("BEGIN IMMEDIATE")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND state = 'idle in transaction'"
        )
        doomed.execute(INSERT, ("never",))
    assert is_condemned(error.value)
    assert rows(connection) == ["committed"]


def test_an_idle_connection_that_the_server_ended_is_known_without_asking(
    connection: Connection, url: str
) -> None:
    other = connect(url)
    assert not other.has_ended()
    (number,) = other.execute("SELECT pg_backend_pid()").fetchone() or (0,)
    connection.define(f"SELECT pg_terminate_backend({number}, 1000)")
    assert other.has_ended()
    assert other.has_ended()
