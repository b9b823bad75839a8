"""Places on the test server, and one statement done on both engines."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

from casemate.postgresql import session
from casemate.postgresql.connection import Connection
from casemate.postgresql.connections import Connections, Place
from casemate.postgresql.migrating import Identity
from casemate.postgresql.settings import Settings
from casemate.store.errors import StoreForeignError
from casemate.store.postgresql.faults import STORE_SERVER
from support.database import Server

SCHEMA = "tests"
TABLE = "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c REAL, d BLOB)"


def place(
    url: str, cluster: str = "one", migrations: Sequence[Sequence[str]] = ((TABLE,),)
) -> Place:
    return Place(
        settings=Settings.of_url(url),
        identity=Identity(SCHEMA, "tests", cluster),
        lock=7,
        migrations=migrations,
        foreign=StoreForeignError,
    )


def connections(url: str, **changes: Any) -> Connections:
    return Connections(place(url, **changes), STORE_SERVER)


def connect(url: str) -> Connection:
    """Return a connection to a schema that is there."""
    return Connection(session.connected(Settings.of_url(url), SCHEMA), 7)


@contextmanager
def changing(connection: Any) -> Any:
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.execute("COMMIT")


def made(server: Server) -> str:
    """Make a database with the table and return its URL."""
    url = server.url(server.database())
    opened = connections(url)
    opened.end(opened.open_writer())
    return url
