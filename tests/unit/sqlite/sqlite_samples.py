"""A database of the tests' own, with a family of errors that says so."""

from __future__ import annotations

from pathlib import Path

from casemate.sqlite import engine
from casemate.sqlite.commit_guard import CommitGuard
from casemate.sqlite.connecting import Room
from casemate.sqlite.connections import Connections
from casemate.sqlite.family import Family
from casemate.store.sqlite.faults import STORE

KEY = bytes(range(32))
OTHER_KEY = bytes(range(32, 64))


def made(path: Path, rows: int = 0, key: bytes = KEY) -> Path:
    """Make a database with a table of so many rows of some 500 bytes."""
    connection = engine.connect(path, key, create=True)
    engine.use_wal(connection)
    connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
    connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, "x" * 500) for n in range(rows)])
    connection.close()
    return path


def connections(path: Path, family: Family = STORE, key: bytes = KEY) -> Connections:
    return Connections("the test's database", CommitGuard(path), key, family, Room())


def count(connection: engine.Connection) -> int:
    number: int = connection.execute("SELECT count(*) FROM t").fetchone()[0]
    return number


def damage(path: Path, first: int, last: int) -> None:
    """Overwrite pages (4096 bytes, numbered from 1)."""
    with path.open("r+b") as file:
        file.seek((first - 1) * engine.PAGE_BYTES)
        file.write(b"\xa5" * engine.PAGE_BYTES * (last - first + 1))
