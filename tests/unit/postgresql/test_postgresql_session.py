"""A server that is not fit, not the primary, or hostile is refused by name and in bounded time."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable

import pytest
from hostile_server import (
    BYTES,
    CLEARTEXT,
    DONE,
    FIT,
    TEXT,
    WELCOME,
    columns,
    error,
    fit,
    hostile,
    message,
    row,
)
from postgresql_samples import SCHEMA, connect

from casemate.postgresql import driver, session
from casemate.postgresql.errors import (
    SettingsError,
    StandbyError,
    UnreachableError,
)
from casemate.postgresql.settings import Settings
from casemate.sqlite import engine
from casemate.sqlite.commit_guard import is_condemned
from casemate.sqlite.errors import DatabaseError
from support.database import Server

SECRET = "s3cret-4711"
ROLE_SETTINGS = {
    "statement_timeout": "1ms",
    "lock_timeout": "1ms",
    "idle_session_timeout": "1s",
    "idle_in_transaction_session_timeout": "1ms",
    "standard_conforming_strings": "off",
    "default_transaction_isolation": "serializable",
    "client_min_messages": "error",
    "search_path": "nonsense",
}


def opened(url: str) -> session.Session:
    found = session.connected(Settings.of_url(url), SCHEMA)
    found.server.close()
    return found


def test_a_server_is_asked_what_it_is_and_told_its_bounds(url: str) -> None:
    connection = connect(url)
    for name, wanted in {
        "statement_timeout": "30s",
        "lock_timeout": "15s",
        "idle_in_transaction_session_timeout": "10s",
        "search_path": SCHEMA,
    }.items():
        assert connection.execute(f"SHOW {name}").fetchone() == (wanted,)
    connection.close()
    assert any("fsync is off" in doubt for doubt in opened(url).doubts)


@pytest.mark.parametrize("name", ["", "A", "a-b", 'a"; DROP', "1a", "a" * 64, "ä", "pg catalog"])
def test_a_schema_that_is_no_plain_name_reaches_no_server(name: str) -> None:
    with pytest.raises(SettingsError):
        session.require_name(name)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ((b"t", *FIT[1:]), "is a standby, or read-only"),
        ((FIT[0], b"140010", *FIT[2:]), "has the version 140010"),
        ((*FIT[:2], b"SQL_ASCII", *FIT[3:]), "has the encoding SQL_ASCII"),
        ((None,) * len(FIT), "version None"),
        ((b"f",), "does not say what it is"),
        ((*FIT[:2], b"\xff\xfe", *FIT[3:]), "answers, and then fails"),
        ((FIT[0], b"new", *FIT[2:]), "answers, and then fails"),
        ((*FIT[:6], None, *FIT[7:]), "on which timeline"),
        ((*FIT[:7], None, *FIT[8:]), "on which timeline"),
        ((*FIT[:7], b"1" * 1000, *FIT[8:]), "on which timeline"),
        ((*FIT[:7], b"0000000x", *FIT[8:]), "answers, and then fails"),
        ((*FIT[:10], b"replica"), "session_replication_role on 127.0.0.1:[0-9]+ is replica"),
    ],
)
def test_a_server_that_is_not_fit_is_refused_by_name(
    values: tuple[bytes | None, ...], told: str
) -> None:
    with hostile(is_what=fit(values)) as server, pytest.raises(Exception, match=told) as refused:
        opened(server.url)
    assert isinstance(refused.value, DatabaseError)
    assert "127.0.0.1" in str(refused.value)


@pytest.mark.parametrize(
    ("user", "welcome", "step"),
    [
        ("test", CLEARTEXT, "Give the password in the URL"),
        (f"test:{SECRET}", CLEARTEXT, "scram-sha-256"),
        (f"test:{SECRET}", WELCOME, "leave the password out"),
        ("test", error('database "d" does not exist', "3D000"), "the one that is missing"),
        ("test", error("sorry, too many clients already", "53300"), "max_connections"),
        ("test", error('too many connections for role "test"', "53300"), "max_connections"),
    ],
)
def test_who_is_not_let_in_is_told_what_to_do(user: str, welcome: bytes, step: str) -> None:
    with hostile(welcome=welcome) as server, pytest.raises(UnreachableError) as refused:
        opened(server.url.replace("test@", f"{user}@"))
    assert step in str(refused.value.next_step)
    assert SECRET not in str(refused.value)


def test_a_role_without_rights_is_told_which_it_needs(url: str, postgresql_server: Server) -> None:
    with postgresql_server.connect(url.partition("?")[0].rpartition("/")[2]) as owner:
        owner.execute("CREATE SCHEMA IF NOT EXISTS closed")
        owner.execute("CREATE TABLE IF NOT EXISTS closed.t (a integer)")
        owner.execute(
            "DO $$ BEGIN CREATE ROLE poor LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        )
        connection = connect(url.replace("//test@", "//poor@"))
        with pytest.raises(engine.OperationalError, match="its role has to own the database"):
            connection.execute("SELECT a FROM closed.t")
        connection.close()
        owner.execute("DROP SCHEMA closed CASCADE")


def test_settings_of_the_role_are_not_taken(url: str, postgresql_server: Server) -> None:
    with postgresql_server.connect("postgres") as owner:
        for name, value in ROLE_SETTINGS.items():
            owner.execute(f"ALTER ROLE test SET {name} = '{value}'")  # type: ignore[arg-type]
        try:
            connection = connect(url)
            for name, value in ROLE_SETTINGS.items():
                assert connection.execute(f"SHOW {name}").fetchone() != (value,)
            connection.close()
        finally:
            owner.execute("ALTER ROLE test RESET ALL")


def test_settings_that_lose_what_is_acknowledged_are_told() -> None:
    with hostile(is_what=fit((*FIT[:3], b"off", b"on", b"off", *FIT[6:]))) as server:
        doubts = opened(server.url).doubts
    assert [doubt.partition(" ")[0] for doubt in doubts] == ["fsync", "synchronous_commit"]


@pytest.mark.storm  # a second of processor time; the answer itself is tried above
def test_a_real_standby_is_refused() -> None:
    standby = Server()
    try:
        standby.make()
        (standby.data / "standby.signal").touch(mode=0o644)
        standby.start()
        with pytest.raises(StandbyError, match="is a standby"):
            opened(standby.url("postgres"))
    finally:
        standby.end()


def test_all_hosts_are_asked_at_once_and_the_primary_is_taken() -> None:
    standby = fit((b"t", *FIT[1:]))
    with (
        hostile(welcome=b"") as silent,
        hostile(is_what=standby) as other,
        hostile() as primary,
    ):
        places = ",".join(one.url.split("@")[1].split("/")[0] for one in (silent, other, primary))
        began = time.monotonic()
        found = session.connected(Settings.of_url(f"postgresql://test@{places}/d"), SCHEMA)
        assert time.monotonic() - began < driver.CONNECT_SECONDS
        assert str(found.server.info.port) in primary.url
        found.server.close()
        places = places.split(",")[1]
    with pytest.raises(UnreachableError):
        opened(f"postgresql://test@{places},{places}/d")


def test_who_is_silent_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "CONNECT_SECONDS", 2)
    began = time.monotonic()
    with hostile(welcome=b"") as server, pytest.raises(UnreachableError, match="timeout"):
        opened(server.url)
    assert time.monotonic() - began < 30


def test_who_asks_for_the_password_itself_does_not_get_it() -> None:
    with hostile(welcome=CLEARTEXT) as server, pytest.raises(UnreachableError) as refused:
        opened(server.url.replace("test@", f"test:{SECRET}@"))
    assert SECRET.encode() not in server.received
    told = f"{refused.value} {refused.value.__cause__!r} {refused.value.next_step}"
    assert SECRET not in told


def test_what_a_server_says_is_one_short_line_without_the_password() -> None:
    text = f"\x1b[31m{SECRET}\n" + "x" * 100_000
    with hostile(welcome=error(text, "28P01")) as server, pytest.raises(UnreachableError) as told:
        opened(server.url.replace("test@", f"test:{SECRET}@"))
    assert len(told.value.message) < 500
    assert "\x1b" not in told.value.message
    assert SECRET not in told.value.message


def bytes_answer(size: int) -> Callable[[socket.socket, bytes], None]:
    """Return what answers with a row that is said to have `size` bytes, and sends without end."""

    def answer(peer: socket.socket, _kind: bytes) -> None:
        peer.sendall(message(b"1") + message(b"2") + columns(BYTES))
        peer.sendall(b"D" + struct.pack("!ihi", size + 10, 1, size))
        while True:
            peer.sendall(bytes(65536))

    return answer


def rows_answer(peer: socket.socket, _kind: bytes) -> None:
    peer.sendall(message(b"1") + message(b"2") + columns(BYTES))
    while True:
        peer.sendall(row(b"x" * 1000) * 60)


def cut_answer(peer: socket.socket, _kind: bytes) -> None:
    peer.sendall(message(b"1") + message(b"2") + columns(BYTES) + row(b"x" * 10)[:9])
    peer.shutdown(socket.SHUT_RDWR)


def noise_answer(peer: socket.socket, _kind: bytes) -> None:
    peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n" * 100)


def wrong_answer(kind: int, value: bytes) -> Callable[[socket.socket, bytes], None]:
    def answer(peer: socket.socket, _kind: bytes) -> None:
        peer.sendall(message(b"1") + message(b"2") + columns(kind) + row(value) + DONE)

    return answer


def no_answer(_peer: socket.socket, _kind: bytes) -> None:
    pass


@pytest.mark.parametrize(
    "answer",
    [
        bytes_answer(1 << 30),
        bytes_answer(1 << 20),
        rows_answer,
        cut_answer,
        noise_answer,
        no_answer,
    ],
    ids=["huge", "large", "many", "cut", "noise", "silent"],
)
def test_an_answer_that_is_none_ends_the_connection(
    answer: Callable[[socket.socket, bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "MAX_ANSWER", 4 << 20)
    monkeypatch.setattr(driver, "ANSWER_SECONDS", 1.0 if answer is not no_answer else 0.2)
    with hostile(answer) as server:
        connection = connect(server.url)
        began = time.monotonic()
        with pytest.raises(engine.OperationalError) as failed:
            connection.execute("SELECT a FROM t")
        assert time.monotonic() - began < 30
        assert is_condemned(failed.value)
        assert connection.has_ended()


NUMBER, DECIMAL = 20, 1700


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (NUMBER, b"abc"),
        (NUMBER, b""),
        (TEXT, b"\xff\xfe"),
        (DECIMAL, b"\x00"),
        (DECIMAL, b"\xff" * 40),
    ],
)
def test_an_answer_of_another_type_is_an_error_and_the_connection_is_left(
    kind: int, value: bytes
) -> None:
    with hostile(wrong_answer(kind, value)) as server:
        connection = connect(server.url)
        with pytest.raises(engine.Error) as failed:
            connection.execute("SELECT a FROM t")
        assert is_condemned(failed.value) or isinstance(failed.value, engine.DataError)
        connection.close()


@pytest.mark.parametrize("tag", [b"SELECT 1\0", b"commit\0", b"\0"])
def test_a_commit_that_is_answered_with_something_else_is_unsure(tag: bytes) -> None:
    def answer(peer: socket.socket, _kind: bytes) -> None:
        peer.sendall(message(b"C", tag) + message(b"Z", b"T"))

    with hostile(answer) as server:
        connection = connect(server.url)
        with pytest.raises(engine.OperationalError) as failed:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("COMMIT")
        assert failed.value.sqlite_errorcode == engine.IOERR
        connection.close()
