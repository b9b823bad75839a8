"""Connections that are lost are replaced; a server that is away is not asked at each call."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hostile_server import hostile
from postgresql_samples import connect, connections

from casemate.postgresql import session
from casemate.postgresql.connections import AWAY_SECONDS, Connections
from casemate.sqlite import engine
from casemate.store.errors import StoreClosedError, StoreMediumError


def ended(url: str) -> None:
    """Have the server end all other connections."""
    connection = connect(url)
    connection.define(
        "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    connection.close()


@pytest.fixture
def opened(url: str) -> Iterator[Connections]:
    made = connections(url)
    yield made
    made.close()


def count(connection: engine.Connection) -> Any:
    return connection.execute("SELECT count(*) FROM t").fetchone()


def test_a_read_on_a_lost_connection_is_made_again_on_another(
    opened: Connections, url: str
) -> None:
    assert opened.read(count) is not None
    ended(url)
    assert opened.read(count) is not None
    asked: list[engine.Connection] = []

    def lost_while_asked(connection: engine.Connection) -> Any:
        asked.append(connection)
        if len(asked) == 1:
            ended(url)
        return count(connection)

    assert opened.read(lost_while_asked) is not None
    assert len({id(connection) for connection in asked}) == 2


def test_a_question_cannot_change_anything_and_leaves_no_transaction_open(
    opened: Connections,
) -> None:
    with pytest.raises(StoreMediumError, match="read-only"):
        opened.read(lambda c: c.execute("INSERT INTO t (b) VALUES ('x')"))
    opened.read(lambda c: c.execute("BEGIN"))
    assert opened.read(lambda c: c.in_transaction) is False


def test_a_writer_knows_that_it_was_ended_and_gets_another(opened: Connections, url: str) -> None:
    writer = opened.open_writer()
    assert not opened.has_ended(writer)
    ended(url)
    assert opened.has_ended(writer)
    writer = opened.renew_writer(writer)
    assert not opened.has_ended(writer)
    opened.end(writer)
    opened.end(writer)


def test_a_server_that_welcomes_and_then_fails_is_a_failing_medium() -> None:
    def fail(peer: socket.socket, _kind: bytes) -> None:
        peer.shutdown(socket.SHUT_RDWR)

    with hostile(fail) as server:
        opened = connections(server.url)
        with pytest.raises(StoreMediumError) as told:
            opened.open_writer()
        assert told.value.__cause__ is not told.value
        with pytest.raises(StoreMediumError) as told:
            opened.read(count)
        assert told.value.__cause__ is not told.value
        opened.close()


def test_a_server_that_is_away_is_not_asked_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    with hostile() as server:
        url = server.url
    away = connections(url)
    tried: list[int] = []
    usual = session.connected

    def connected(*arguments: Any, **named: Any) -> Any:
        tried.append(1)
        return usual(*arguments, **named)

    monkeypatch.setattr("casemate.postgresql.connections.session.connected", connected)
    began = time.monotonic()
    for _ in range(100):
        with pytest.raises(StoreMediumError, match="cannot be used"):
            away.read(count)
    assert 1 <= len(tried) <= 1 + (time.monotonic() - began) / AWAY_SECONDS
    assert "cannot be used" in away.faults()[0]
    tried.clear()
    away.close()
    with pytest.raises(StoreClosedError):
        away.read(count)
    assert tried == []
