"""Connections to an encrypted database: one that writes, others that read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from casemate.sqlite import engine
from casemate.sqlite.family import Family

RESERVED_PAGES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a database and its connections may take."""

    reader_cache_kib: int = engine.CACHE_KIB
    writer_cache_kib: int = engine.CACHE_KIB
    max_bytes: int | None = None
    """How far the file may grow; None: as far as the disk goes."""


def open_reader(path: Path, key: bytes, family: Family, room: Room) -> engine.Connection:
    """Return a connection that cannot change anything; one thread at a time may use it.

    Raises `family`'s `key` if the key is not the file's (or its first page is damaged: without the
    key the two cannot be told apart), another of its errors if the system refuses.
    """
    with family.translated():
        connection = engine.connect(path, key)
        try:
            connection.execute(f"PRAGMA cache_size = -{room.reader_cache_kib:d}")
            connection.execute("PRAGMA query_only = ON")
        except BaseException:
            connection.close()
            raise
    return connection


def open_writer(
    path: Path,
    key: bytes,
    family: Family,
    room: Room,
    examine: Callable[[engine.Connection], None] | None = None,
) -> engine.Connection:
    """Return the connection that writes. Raises as `open_reader`.

    `examine` sees the connection before anything about the file is changed, and may refuse it.
    """
    with family.translated():
        connection = engine.connect(path, key)
        try:
            if examine is not None:
                examine(connection)
            require_wal(connection, family)
            connection.execute(f"PRAGMA cache_size = -{room.writer_cache_kib:d}")
            if room.max_bytes is not None:
                limit_size(connection, room.max_bytes)
        except BaseException:
            connection.close()
            raise
    return connection


def require_wal(connection: engine.Connection, family: Family) -> None:
    """Switch the database to its write-ahead log. Raises `family.not_wal` where that cannot be."""
    mode = engine.use_wal(connection)
    if mode != "wal":
        raise family.not_wal.of(repr(mode))


def limit_size(connection: engine.Connection, max_bytes: int) -> None:
    """Let the file grow to `max_bytes` at most; what is larger already stays."""
    connection.execute(f"PRAGMA max_page_count = {max_bytes // engine.PAGE_BYTES:d}")


@contextmanager
def reserve(connection: engine.Connection) -> Iterator[None]:
    """Let the file grow a little beyond its bound for what empties a database, not fills it.

    Handing a message out and taking it away writes too; without this, nothing could be handled
    once nothing more can be sent.
    """
    (bound,) = connection.execute("PRAGMA max_page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {bound + RESERVED_PAGES:d}")
    try:
        yield
    finally:
        # Below its present size the engine does not go; what is there then is the bound.
        connection.execute(f"PRAGMA max_page_count = {bound:d}")
