"""Encrypting a database of the release that did not: into a new file, which takes its place.

Before the rename the old database is whole, after it the new one is. The old file's blocks are
freed, not overwritten: a disk may keep them until it uses them again.
"""

from __future__ import annotations

from casemate.sqlite import engine
from casemate.store.errors import StoreCorruptError, StoreForeignError, StoreVersionError
from casemate.store.sqlite.faults import RESTORE, translated
from casemate.store.sqlite.files import StoreFolder
from casemate.store.sqlite.schema import APPLICATION_ID, MIGRATIONS

_MAGIC = b"SQLite format 3\0"
_APPLICATION_ID_AT = 68
_TABLES = "SELECT name FROM {schema}.sqlite_schema WHERE type = 'table' ORDER BY name"


def is_plain(header: bytes) -> bool:
    """Tell whether a file that starts with `header` is an SQLite database without encryption."""
    return header.startswith(_MAGIC)


def convert(folder: StoreFolder, header: bytes, key: bytes) -> None:
    """Replace the folder's plaintext database by one encrypted with `key`.

    Raises StoreForeignError if it is another program's, StoreVersionError if it is newer than
    this code, StoreCorruptError if it is damaged: it is then left as it was.
    """
    found = int.from_bytes(header[_APPLICATION_ID_AT : _APPLICATION_ID_AT + 4], "big")
    if found != APPLICATION_ID:
        raise StoreForeignError(
            f"{folder.database} is another program's database: "
            f"application id {found:#x}, expected {APPLICATION_ID:#x}.",
            next_step="Give the store a folder of its own, or restore it from a backup.",
        )
    with translated():
        connection = engine.connect_plain(folder.database)
        try:
            _require_intact(connection)
            # Ends the log: one left beside the new database would be applied to it.
            connection.execute("PRAGMA journal_mode = DELETE")
            with folder.draft() as draft:
                _export(connection, str(draft), key)
                connection.close()
                _require_no_log(folder)
        finally:
            connection.close()


def _require_intact(connection: engine.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise StoreVersionError(
            f"The store has schema version {version}; this Casemate knows up to {len(MIGRATIONS)}.",
            next_step="Start the Casemate that wrote it or a newer one; nothing was changed.",
        )
    problems = [row[0] for row in connection.execute("PRAGMA quick_check")]
    if problems != ["ok"]:
        raise StoreCorruptError(
            f"The store's database is damaged: {'; '.join(problems[:3])}.", next_step=RESTORE
        )


def _export(connection: engine.Connection, draft: str, key: bytes) -> None:
    connection.execute("ATTACH DATABASE ? AS encrypted KEY ?", (draft, engine.raw_key(key)))
    connection.execute("SELECT sqlcipher_export('encrypted')").fetchone()
    # The export leaves out what is in the header.
    (version,) = connection.execute("PRAGMA main.user_version").fetchone()
    connection.execute(f"PRAGMA encrypted.user_version = {version}")
    connection.execute(f"PRAGMA encrypted.application_id = {APPLICATION_ID}")
    if _counts(connection, "main") != _counts(connection, "encrypted"):
        raise StoreCorruptError(
            "The encrypted copy of the store's database is not complete; the original was kept.",
            next_step="Check the disk and start the node again.",
        )
    connection.execute("DETACH DATABASE encrypted")


def _counts(connection: engine.Connection, schema: str) -> dict[str, int]:
    names = [row[0] for row in connection.execute(_TABLES.format(schema=schema))]
    counts = {}
    for name in names:
        quoted = name.replace('"', '""')
        query = f'SELECT count(*) FROM {schema}."{quoted}"'  # noqa: S608 - a name of our schema
        (counts[name],) = connection.execute(query).fetchone()
    return counts


def _require_no_log(folder: StoreFolder) -> None:
    for suffix in ("-wal", "-journal"):
        log = folder.path / f"{folder.database.name}{suffix}"
        if log.exists() and log.stat().st_size:
            raise StoreCorruptError(
                f"{log} is still there although the database was closed; nothing was changed.",
                next_step="Stop whatever else uses the store's folder and start the node again.",
            )
        log.unlink(missing_ok=True)
    (folder.path / f"{folder.database.name}-shm").unlink(missing_ok=True)
