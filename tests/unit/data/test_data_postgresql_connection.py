"""Savepoints that travel with what needs them do what they say, in any order."""

from __future__ import annotations

from collections.abc import Iterator

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
