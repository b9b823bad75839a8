"""Going over to new data keys while calls go on.

The database is copied, the copy encrypted with the new page key, made durable and only then given
its name, which has the key's version in it; the old file goes afterwards. Changes wait meanwhile,
reads do not. The content of small objects is encrypted anew; of large ones the file's own key is,
which is why that takes no time for their size. Whatever is interrupted goes on at the next call.
"""

from __future__ import annotations

from contextlib import closing, suppress
from functools import partial
from pathlib import Path

from casemate.data.content import ObjectKey, context_of
from casemate.data.errors import DataError
from casemate.data.faults import DATA, disk_error
from casemate.data.folder import DataFolder
from casemate.data.limits import DataOptions
from casemate.data.project import MissingKeyError, OpenProject
from casemate.data.projects import Keys
from casemate.data.registry import BUCKET
from casemate.data.sqlite_project import SqliteProject, guard_of, room
from casemate.data.work import Work
from casemate.kernel.durability import sync_file
from casemate.sqlite import engine
from casemate.sqlite.connecting import open_writer
from casemate.sqlite.copying import copy_pages
from casemate.sqlite.engine import Connection
from casemate.vault.interface import DataKey, Purpose

_BATCH = 64


async def rekey(
    project: SqliteProject, folder: DataFolder, keys: Keys, options: DataOptions
) -> None:
    """Encrypt what a project has stored with the newest keys. Raises DataError."""
    async with project.maintenance:
        page_key = await keys(project.name, Purpose.DATA, None)
        if page_key.version != project.page_version:

            def job(connection: Connection) -> tuple[Connection, None]:
                return _exchange(project, folder, connection, page_key, options), None

            await project.writer.submit_job(job)
        object_key = await keys(project.name, Purpose.OBJECTS, None)
        project.add_key(object_key, newest=True)
        await renew_objects(project, keys, project.object_key(object_key.version))


def _exchange(
    project: SqliteProject,
    folder: DataFolder,
    connection: Connection,
    key: DataKey,
    options: DataOptions,
) -> Connection:
    """Return a connection to a copy under the new key that has taken the old file's place."""
    if key.version <= project.page_version:
        raise DataError(
            f"The newest data key has version {key.version}, but {project.page_version} is in use.",
            next_step="Check that the vault is the one this data was written with.",
        )
    old = project.path
    try:
        draft = folder.draft(project.name)
        with DATA.translated():
            _copy(connection, draft, project.page_key, key.key)
        sync_file(draft)
        final = folder.place(draft, project.name, key.version)
        renewed = _open_renamed(project, folder, final, key, options)
    except OSError as error:
        raise disk_error("The database cannot be re-encrypted", error) from error
    connection.close()
    with suppress(OSError):  # what stays is deleted when the project is opened
        folder.delete(old)
    return renewed


def _open_renamed(
    project: SqliteProject, folder: DataFolder, final: Path, key: DataKey, options: DataOptions
) -> Connection:
    try:
        renewed = open_writer(final, key.key, DATA, room(options))
        try:
            project.move(guard_of(final), key)
        except BaseException:
            renewed.close()
            raise
    except BaseException:
        # Under this name it would count as the newest at the next start, without what is
        # written from now on.
        folder.delete(final)
        folder.sync()
        raise
    return renewed


def _copy(connection: Connection, draft: Path, old_key: bytes, new_key: bytes) -> None:
    copy_pages(connection, draft, old_key)
    with closing(engine.connect(draft, old_key)) as copy:
        copy.execute("PRAGMA journal_mode = DELETE")
        # Nobody has this file yet: until it has its name, nothing of it needs to be durable.
        copy.execute("PRAGMA journal_mode = OFF")
        copy.execute("PRAGMA synchronous = OFF")
        engine.rekey(copy, new_key)
    engine.connect(draft, new_key).close()


async def renew_objects(project: OpenProject, keys: Keys, newest: ObjectKey) -> None:
    """Encrypt the contents of objects with the newest key; of files, their keys."""
    after = 0
    while True:
        try:
            last = await project.change(partial(_renew, project, newest, after))
        except MissingKeyError as error:
            older = await keys(project.name, Purpose.OBJECTS, error.version)
            project.add_key(older, newest=False)
            continue
        if last is None:
            return
        after = last


def _renew(project: OpenProject, newest: ObjectKey, after: int, work: Work) -> int | None:
    """Encrypt a batch of objects anew; return where the next begins, None at the end."""
    connection = work.connection
    rows = connection.execute(
        "SELECT object.id, resource.name, object.key, revision, key_version, file, sealed "
        "FROM object LEFT JOIN resource ON resource.id = bucket AND resource.kind = ? "
        "WHERE object.id > ? AND key_version <> ? ORDER BY object.id LIMIT ?",
        (BUCKET, after, newest.version, _BATCH),
    ).fetchall()
    changed = []
    for identity, bucket, key, revision, version, file, sealed in rows:
        if bucket is None:  # of a dropped bucket: the sweep will delete it
            continue
        context = context_of(project.name, bucket, key, revision)
        secret = project.object_key(version).open(sealed, context, file=file is not None)
        renewed = newest.seal(secret, context, file=file is not None)
        changed.append((newest.version, renewed, identity))
    work.recent.clear()
    connection.executemany("UPDATE object SET key_version = ?, sealed = ? WHERE id = ?", changed)
    return rows[-1][0] if rows else None
