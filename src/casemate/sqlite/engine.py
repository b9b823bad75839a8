"""The database engine: SQLite with every page encrypted (SQLCipher), and how to connect to it.

Each page is AES-256-CBC with an IV of its own and an HMAC-SHA512 over it and its number; so are
the pages in the write-ahead log and in a rollback journal. No other module imports the engine.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import quote

from casemate.model.errors import InvalidInputError

# The binding is CPython's own, built against another library, and comes without type hints.
if TYPE_CHECKING:
    import sqlite3 as driver
else:
    from sqlcipher3 import dbapi2 as driver

Cursor = driver.Cursor
Error = driver.Error
DatabaseError = driver.DatabaseError
DataError = driver.DataError
IntegrityError = driver.IntegrityError
InterfaceError = driver.InterfaceError
OperationalError = driver.OperationalError
ProgrammingError = driver.ProgrammingError

BUSY: int = driver.SQLITE_BUSY
CORRUPT: int = driver.SQLITE_CORRUPT
FULL: int = driver.SQLITE_FULL
IOERR: int = driver.SQLITE_IOERR
LOCKED: int = driver.SQLITE_LOCKED
NOTADB: int = driver.SQLITE_NOTADB
MEDIUM = frozenset({IOERR, driver.SQLITE_CANTOPEN, driver.SQLITE_PROTOCOL})
"""The system refused what may work again later."""
IOERR_SHMSIZE = 4874
"""Result codes (sqlite.org/rescode.html). NOTADB: page 1 is not authentic under the key.
CORRUPT: another page is not, or its content is wrong; the connection is of no use after it."""


class Connection(driver.Connection):
    """A connection; whoever has the database keeps with it on which terms it is used."""

    terms: Any = None


KEY_BYTES = 32
PAGE_BYTES = 4096
JOURNAL_LIMIT = 64 * 1024 * 1024
"""Bytes that the write-ahead log keeps on disk after it has been written back."""
CACHE_KIB = 16384
"""Memory that the pages of one connection may take, unless it says otherwise."""
_BUSY_TIMEOUT = 5.0


def connect(
    path: Path, key: bytes, *, create: bool = False, cached_statements: int = 256
) -> Connection:
    """Return a connection to the encrypted database at `path`, in autocommit mode.

    `key` is 32 random bytes and is used as it is, without a key derivation. Foreign keys hold,
    nothing temporary is written to disk, a commit returns after fsync. Any thread may use the
    connection, one at a time. The journal mode is the database's (`use_wal` sets it).

    Raises InvalidInputError for a key of another length; OperationalError if there is no such
    file and `create` is not set; DatabaseError with code NOTADB if page 1 is not authentic
    under the key, which is the case for another key and for a plaintext database.
    """
    require_key_length(key)
    # Not Path.as_uri, which in Python 3.13 imports a module: a confined process may not any more.
    place = quote(os.fsencode(path.absolute()))
    connection = driver.connect(
        f"file://{place}?mode={'rwc' if create else 'rw'}",
        uri=True,
        timeout=_BUSY_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=cached_statements,
        factory=Connection,
    )
    try:
        # Not a PRAGMA: its text would stay in the cache of statements.
        cast(Any, connection).set_key(raw_key(key))
        # Process-wide. The engine would write to standard error what we raise as errors.
        connection.execute("PRAGMA cipher_log_level = NONE")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        _configure(connection)
    except BaseException:
        connection.close()
        raise
    return connection


class LibraryVersions(NamedTuple):
    """What the binding was built with, as the libraries say themselves."""

    sqlite: str
    sqlcipher: str
    provider: str
    """The library that encrypts the pages."""


def library_versions() -> LibraryVersions:
    """Ask a database in memory."""
    connection = driver.connect(":memory:")
    try:
        cast(Any, connection).set_key(raw_key(bytes(KEY_BYTES)))  # else there is no cipher to ask
        asked = ("cipher_version", "cipher_provider_version")
        cipher, provider = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in asked)
    finally:
        connection.close()
    return LibraryVersions(driver.sqlite_version, cipher, provider)


def warm_up() -> None:
    """Load what the engine reads from files on first use, such as the seed of its numbers."""
    connection = driver.connect(":memory:")
    try:
        cast(Any, connection).set_key(raw_key(bytes(KEY_BYTES)))
        connection.execute("SELECT randomblob(8)").fetchone()
    finally:
        connection.close()


def use_wal(connection: Connection) -> str:
    """Switch the database to a write-ahead log; return the mode it is in then, best `wal`."""
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute(f"PRAGMA journal_size_limit = {JOURNAL_LIMIT}")
    return str(mode)


def raw_key(key: bytes) -> str:
    """Return the key in the engine's notation for one that needs no derivation."""
    return f"x'{key.hex()}'"


def rekey(connection: Connection, new_key: bytes) -> None:
    """Encrypt every page with another key, in one transaction of its own.

    The connection is of no use afterwards. Whether it worked is told by what the database opens
    with: an error here can come before or after the commit.
    """
    require_key_length(new_key)
    cast(Any, connection).reset_key(raw_key(new_key))


def require_key_length(key: bytes) -> None:
    """Raise InvalidInputError unless `key` is 32 bytes. The error does not show it."""
    if type(key) is not bytes or len(key) != KEY_BYTES:
        found = f"{len(key)} bytes" if isinstance(key, bytes) else type(key).__name__
        raise InvalidInputError(
            f"A database key is {found}; expected {KEY_BYTES} bytes.",
            next_step="Pass a data key of the vault.",
        )


def _configure(connection: Connection) -> None:
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB:d}")
