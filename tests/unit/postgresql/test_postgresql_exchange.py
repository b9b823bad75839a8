"""Statements that travel together do what they would do one after the other, and are prepared."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hostile_server import columns, hostile, message, row

from casemate.postgresql import driver, exchange
from casemate.postgresql.exchange import PREPARE_AT, Exchanges, UnreadableAnswerError
from casemate.postgresql.settings import Settings
from support.database import Server

_ONE = (b"SELECT $1::bigint", (1,))


@pytest.fixture
def raw(postgresql_server: Server) -> Iterator[driver.Connection]:
    settings = Settings.of_url(postgresql_server.url(postgresql_server.database()))
    made = driver.connect(settings.parameters(settings.hosts[0]))
    made.execute(b"CREATE TABLE kept (number bigint PRIMARY KEY)")
    yield made
    made.close()


@pytest.fixture
def exchanges(raw: driver.Connection) -> Exchanges:
    return Exchanges(raw)


def prepared(raw: driver.Connection) -> int:
    row = raw.execute(b"SELECT count(*) FROM pg_prepared_statements").fetchone()
    return int(row[0]) if row else -1


def keep(number: int) -> tuple[bytes, tuple[int, ...]]:
    return b"INSERT INTO kept VALUES ($1) RETURNING number", (number,)


def test_each_is_answered_in_its_order(exchanges: Exchanges) -> None:
    words = (b"BEGIN", b"SAVEPOINT part")
    asked = [_ONE, (b"DELETE FROM kept", ()), keep(7), (b"SELECT $1::text, $2", ("é", None))]
    found = exchanges.send(words, asked)
    assert [one.rows for one in found] == [[(1,)], [], [(7,)], [("é", None)]]
    assert [one.changed for one in found] == [1, 0, 1, 1]
    assert exchanges.send((b"COMMIT",), ()) == []
    assert exchanges.send((), ()) == []


def test_a_statement_that_is_used_often_is_prepared_and_the_oldest_is_not_kept(
    raw: driver.Connection, exchanges: Exchanges, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "PREPARED", 3)
    for use in range(2 * PREPARE_AT):
        assert exchanges.send((), [_ONE])[0].rows == [(1,)]
        assert prepared(raw) == (use + 1 >= PREPARE_AT)
    for number in range(12):
        asked: tuple[bytes, tuple[object, ...]] = (b"SELECT $1::bigint + %d" % number, (1,))
        # The last two of one exchange both prepare it.
        for _ in range(PREPARE_AT - 1):
            exchanges.send((), [asked])
        assert exchanges.send((), [asked, asked])[1].rows == [(1 + number,)]
    exchanges.send((), [_ONE])
    assert prepared(raw) == 3


def test_types_belong_to_what_is_prepared(exchanges: Exchanges) -> None:
    for value in [*[1] * 6, *["a"] * 6, *[None] * 6, *[2.5] * 6, 1, "a", None]:
        rows: Any = exchanges.send((), [(b"SELECT $1", (value,))])[0].rows
        assert rows == [(value,)]


def test_after_what_fails_nothing_is_done_and_nothing_is_taken_for_prepared(
    raw: driver.Connection, exchanges: Exchanges
) -> None:
    exchanges.send((), [keep(1)])
    for _ in range(2 * PREPARE_AT):
        with pytest.raises(driver.Error, match="duplicate key"):
            exchanges.send((), [keep(1), (b"INSERT INTO kept VALUES (2)", ())])
        with pytest.raises(driver.Error, match="does not exist"):
            exchanges.send((), [(b"SELECT number FROM nowhere", ()), keep(3)])
    rows = exchanges.send((), [(b"SELECT number FROM kept", ())])[0].rows
    assert rows == [(1,)]
    raw.execute(b"CREATE TABLE nowhere (number bigint)")
    assert exchanges.send((), [(b"SELECT number FROM nowhere", ()), keep(3)])[1].rows == [(3,)]


def test_what_the_server_has_prepared_no_more_is_prepared_anew(
    raw: driver.Connection, exchanges: Exchanges
) -> None:
    for spoil in (b"DEALLOCATE ALL", b"ALTER TABLE kept ADD COLUMN more bigint DEFAULT 1"):
        for _ in range(PREPARE_AT):
            exchanges.send((), [(b"SELECT * FROM kept", ())])
        raw.execute(spoil)
        with pytest.raises(driver.Error):
            exchanges.send((), [(b"SELECT * FROM kept", ())])
        for _ in range(PREPARE_AT + 1):
            exchanges.send((), [(b"SELECT * FROM kept", ())])


def test_much_goes_both_ways_at_once(exchanges: Exchanges) -> None:
    asked = (b"SELECT $1::bytea", (b"x" * 1_000_000,))
    assert [len(one.rows[0][0]) for one in exchanges.send((), [asked] * 16)] == [1_000_000] * 16


def test_what_takes_too_long_or_is_cut_off_ends_the_connection(
    raw: driver.Connection,
) -> None:
    raw.answer_seconds = 0.2
    begun = time.monotonic()
    with pytest.raises(driver.Error, match="has not answered"):
        Exchanges(raw).send((), [(b"SELECT 1 FROM pg_sleep(30)", ())])
    assert time.monotonic() - begun < 10
    assert raw.closed


def test_the_reason_for_an_end_is_the_servers(raw: driver.Connection, exchanges: Exchanges) -> None:
    asked = (b"SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(5)", ())
    with pytest.raises(driver.Error, match="terminating connection") as error:
        exchanges.send((), [_ONE, asked, _ONE])
    assert error.value.sqlstate == "57P01"
    assert raw.closed
    with pytest.raises(driver.Error):
        exchanges.send((), [_ONE])


def numeric(digits: int, weight: int) -> bytes:
    return struct.pack("!hhHH", digits, weight, 0, 0) + struct.pack("!h", 9) * digits


WIDE = struct.pack("!iiiii", 1, 0, 25, 10**9, 1)
"""An array in 20 bytes, of a thousand million texts."""


@pytest.mark.parametrize(
    ("kind", "form", "value", "rows"),
    [
        (1700, 1, numeric(1, 32767), 20_000),
        (1700, 1, numeric(1, -32768), 20_000),
        (1700, 1, numeric(32767, 1), 10),
        (1700, 1, b"", 1),
        (1009, 1, WIDE, 1),  # text[]
        (1000, 1, WIDE, 1),
        (3802, 1, b"\x01" + b"[" * 65536, 1),  # jsonb
        (114, 0, b"[" * 65536, 1),
        (2249, 0, b"\xff", 1),  # record
        (1082, 1, b"\0" * 16, 1),  # date
        (3904, 1, b"", 1),  # int4range
    ],
)
def test_a_server_chooses_no_type_that_makes_much_of_little(
    kind: int, form: int, value: bytes, rows: int
) -> None:
    """The first of them took minutes of the thread, and 54 KB for each ten bytes."""
    sent = message(b"1") + message(b"2") + columns(kind, form=form) + row(value) * rows
    sent += message(b"C", b"SELECT 1\0") + message(b"Z", b"I")

    def answer(peer: socket.socket, asked: bytes) -> None:
        if asked == b"S":
            peer.sendall(sent)

    begun = time.process_time()
    with hostile(answer) as server:
        settings = Settings.of_url(f"{server.url}?sslmode=disable")
        raw = driver.connect(settings.parameters(settings.hosts[0]))
        try:
            with pytest.raises(UnreadableAnswerError):
                Exchanges(raw).send((), [(b"SELECT 1", ())])
        finally:
            raw.close()
    assert time.process_time() - begun < 3


def test_numbers_that_sums_have_are_read(exchanges: Exchanges) -> None:
    (found,) = exchanges.send(
        (), [(b"SELECT 9223372036854775807::numeric * 1000000, 0.5::numeric, -7::numeric", ())]
    )
    assert found.rows == [(9223372036854775807 * 1000000, 0.5, -7)]
