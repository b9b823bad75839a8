"""A database with one table, of a module's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from postgresql_samples import connect, made

from casemate.postgresql.connection import Connection
from support.database import Server


@pytest.fixture(scope="module")
def url(postgresql_server: Server) -> str:
    return made(postgresql_server)


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    opened = connect(url)
    opened.execute("DELETE FROM t")
    yield opened
    opened.close()
