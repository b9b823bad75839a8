"""Opening the database: created whole or not at all, examined before it is trusted."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from casemate.store.errors import StoreCorruptError, StoreError, StoreForeignError
from casemate.store.sqlite.faults import RESTORE, translated
from casemate.store.sqlite.files import StoreFolder, create_private
from casemate.store.sqlite.schema import APPLICATION_ID, KEPT_TABLES, migrate

_OLDEST_SQLITE = (3, 37, 0)
"""The first with STRICT tables."""
_MAGIC = b"SQLite format 3\0"
_HEADER_SIZE = 100
_APPLICATION_ID_AT = 68
_BUSY_TIMEOUT = 5.0
_JOURNAL_LIMIT = 64 * 1024 * 1024
_FULL_CHECK_BYTES = 64 * 1024 * 1024
"""Above this size an unclean end leads to a check of the kept tables only: a start is to take
less than a second, and it is WAL, not the check, that keeps the rest whole."""


def open_writer(folder: StoreFolder) -> sqlite3.Connection:
    """Return the connection that may write, the schema brought up to date.

    Raises StoreForeignError for a file that is not ours (it is left as it was),
    StoreCorruptError for a damaged one, StoreVersionError for a newer one.
    """
    _require_sqlite()
    if not folder.database.exists():
        _create(folder)
    _inspect_header(folder.database)
    with translated():
        connection = _connect(folder.database)
        try:
            _require_wal(connection)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_LIMIT}")
            migrate(connection)
            _check(connection, whole=folder.unclean)
        except BaseException:
            connection.close()
            raise
    return connection


def open_reader(folder: StoreFolder) -> sqlite3.Connection:
    """Return a connection that cannot change anything. Raises StoreError."""
    with translated():
        connection = _connect(folder.database)
        connection.execute("PRAGMA query_only = ON")
    return connection


def _require_sqlite() -> None:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        oldest = ".".join(map(str, _OLDEST_SQLITE))
        raise StoreError(
            f"This Python has SQLite {sqlite3.sqlite_version}; expected {oldest} or newer.",
            next_step="Run the node with a Python that is linked to a newer SQLite.",
        )


def _require_wal(connection: sqlite3.Connection) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreError(
            f"The store's database stays in journal mode {mode!r}; expected 'wal'.",
            next_step="Put the store on a local file system with shared memory maps.",
        )


def _create(folder: StoreFolder) -> None:
    """Write an empty store beside its place and rename it there: no half-made one is ever seen."""
    log = folder.path / f"{folder.database.name}-wal"
    if log.exists() and log.stat().st_size:
        raise StoreCorruptError(
            f"{folder.database} is missing but its log {log.name} is there, with changes in it.",
            next_step=RESTORE,
        )
    draft = folder.path / f"{folder.database.name}.new"
    try:
        for leftover in (draft, folder.path / f"{draft.name}-journal"):
            leftover.unlink(missing_ok=True)
        os.close(create_private(draft))
        with translated():
            connection = _connect(draft)
            try:
                connection.execute("PRAGMA synchronous = FULL")
                migrate(connection)
            finally:
                connection.close()
        draft.rename(folder.database)
        folder.sync()
    except OSError as error:
        raise StoreError(
            f"No store can be created in {folder.path}: {error.strerror}.",
            next_step="Make room on that file system and check its rights.",
        ) from error


def _inspect_header(database: Path) -> None:
    """Refuse a foreign file before SQLite may touch it (sqlite.org/fileformat.html, 1.3)."""
    try:
        descriptor = create_private(database)
        try:
            header = os.pread(descriptor, _HEADER_SIZE, 0)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(
            f"{database} cannot be opened: {error.strerror}.",
            next_step="Check that it is a regular file that this user owns.",
        ) from error
    if len(header) < _HEADER_SIZE or not header.startswith(_MAGIC):
        raise StoreForeignError(
            f"{database} is no SQLite database: it starts with {header[:16]!r}.", next_step=RESTORE
        )
    found = int.from_bytes(header[_APPLICATION_ID_AT : _APPLICATION_ID_AT + 4], "big")
    if found != APPLICATION_ID:
        raise StoreForeignError(
            f"{database} is another program's database: "
            f"application id {found:#x}, expected {APPLICATION_ID:#x}.",
            next_step="Give the store a folder of its own, or restore it from a backup.",
        )


def _connect(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{database.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=_BUSY_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA cache_size = -16384")
    return connection


def _check(connection: sqlite3.Connection, *, whole: bool) -> None:
    """Look for damage: always in the kept tables, after an unclean end in all of a small store."""
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    size = pages * connection.execute("PRAGMA page_size").fetchone()[0]
    checks = [f"PRAGMA quick_check({table})" for table in KEPT_TABLES]
    if whole and size <= _FULL_CHECK_BYTES:
        checks = ["PRAGMA quick_check"]
    for check in checks:
        problems = [row[0] for row in connection.execute(check)]
        if problems != ["ok"]:
            raise StoreCorruptError(
                f"The store's database is damaged: {'; '.join(problems[:3])}.", next_step=RESTORE
            )
