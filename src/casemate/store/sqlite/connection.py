"""Opening the database: created whole or not at all, examined before it is trusted."""

from __future__ import annotations

import os
from pathlib import Path

from casemate.sqlite import engine
from casemate.sqlite.connections import Connections
from casemate.sqlite.left_log import left_log
from casemate.store.errors import StoreCorruptError, StoreError, StoreForeignError
from casemate.store.sqlite.faults import RESTORE, STORE
from casemate.store.sqlite.files import StoreFolder, create_private
from casemate.store.sqlite.first_page import require_key
from casemate.store.sqlite.schema import APPLICATION_ID, KEPT_TABLES, migrate

_HEADER_SIZE = 100
_MAGIC = b"SQLite format 3\0"
_APPLICATION_ID = slice(68, 72)
"""What a database that is not encrypted begins with (sqlite.org/fileformat.html, 1.3)."""
_FEWEST_VALUES = 40
"""Of 100 random bytes about 83 are different. What has fewer than this is no ciphertext."""
_FULL_CHECK_BYTES = 64 * 1024 * 1024
"""Above this size an unclean end leads to a check of the kept tables only: a start is to take
less than a second, and it is WAL, not the check, that keeps the rest whole."""


def require_readable(folder: StoreFolder, key: bytes) -> None:
    """See that there is an encrypted database of this key, made where there is none.

    Raises StoreForeignError for a file that is not encrypted and StoreKeyError for one of another
    key (they are left as they were), StoreCorruptError for a damaged one.
    """
    if not folder.database.exists():
        _create(folder, key)
    _require_ciphertext(folder.database)
    require_key(folder.database, key)


def open_writer(folder: StoreFolder, connections: Connections) -> engine.Connection:
    """Return the connection that may write, the schema brought up to date.

    Raises StoreForeignError for a file that is not ours, which is left as it was,
    StoreCorruptError for a damaged one, StoreVersionError for a newer one.
    """

    def prepare(connection: engine.Connection) -> None:
        migrate(connection)
        _check(connection, whole=folder.unclean)

    return connections.open_writer(lambda c: _require_application(c, folder.database), prepare)


def _create(folder: StoreFolder, key: bytes) -> None:
    """Write an empty store beside its place and rename it there: no half-made one is ever seen."""
    log = left_log(folder.database)
    if log is not None:
        raise StoreCorruptError(
            f"{folder.database} is missing but its log {log.name} is there, with changes in it.",
            next_step=f"{RESTORE} To go on without: casemate serve --accept-loss store",
        )
    with folder.draft() as draft, STORE.translated():
        connection = engine.connect(draft, key)
        try:
            migrate(connection)
        finally:
            connection.close()


def _read_header(database: Path) -> bytes:
    """Return the file's first bytes, after making it private (sqlite.org/fileformat.html, 1.3)."""
    try:
        descriptor = create_private(database)
        try:
            return os.pread(descriptor, _HEADER_SIZE, 0)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(
            f"{database} cannot be opened: {error.strerror}.",
            next_step="Check that it is a regular file that this user owns.",
        ) from error


def _require_ciphertext(database: Path) -> None:
    header = _read_header(database)
    plain = header.startswith(_MAGIC)
    if plain:
        _require_ours(database, int.from_bytes(header[_APPLICATION_ID], "big"))
    if plain or len(header) < _HEADER_SIZE or len(set(header)) < _FEWEST_VALUES:
        raise StoreForeignError(
            f"{database} is no encrypted database: it starts with {header[:16]!r}.",
            next_step=RESTORE,
        )


def _require_application(connection: engine.Connection, database: Path) -> None:
    (found,) = connection.execute("PRAGMA application_id").fetchone()
    _require_ours(database, found)


def _require_ours(database: Path, application_id: int) -> None:
    if application_id != APPLICATION_ID:
        raise StoreForeignError(
            f"{database} is another program's database: "
            f"application id {application_id:#x}, expected {APPLICATION_ID:#x}.",
            next_step="Give the store a folder of its own, or restore it from a backup.",
        )


def _check(connection: engine.Connection, *, whole: bool) -> None:
    """Look for damage: always in the kept tables, after an unclean end in all of a small store."""
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    checks = [f"PRAGMA quick_check({table})" for table in KEPT_TABLES]
    if whole and pages * engine.PAGE_BYTES <= _FULL_CHECK_BYTES:
        checks = ["PRAGMA quick_check"]
    for check in checks:
        problems = [row[0] for row in connection.execute(check)]
        if problems != ["ok"]:
            raise StoreCorruptError(
                f"The store's database is damaged: {'; '.join(problems[:3])}.", next_step=RESTORE
            )
