"""A data folder as a place to move from and to: its files are locked as a node would lock them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from functools import partial
from typing import BinaryIO, Final

from casemate.data.errors import DataCorruptError
from casemate.data.faults import DATA, RESTORE
from casemate.data.files import ObjectFiles, open_folder
from casemate.data.folder import DatabaseFile, DataFolder, require_regular
from casemate.data.limits import DataOptions
from casemate.data.schema import APPLICATION_ID as PROJECT_ID
from casemate.data.schema import MIGRATIONS as PROJECT_MIGRATIONS
from casemate.data.schema import migrate as migrate_project
from casemate.data.sqlite_project import guard_of, room
from casemate.folder.folders import Folders
from casemate.folder.presence import SHARED
from casemate.gateway.sealed_bundles import SUFFIX, SealedFolder
from casemate.kernel.durability import sync_file, sync_folder
from casemate.migration.contents import Contents
from casemate.migration.errors import MigrationError, TakenError
from casemate.migration.forms import PlainForm, Row, SqliteForm, token_secret
from casemate.migration.parts import Part, SqlitePart
from casemate.migration.place import Bundle, Keys, ProjectParts, Told
from casemate.migration.tables import Table
from casemate.model.errors import NotFoundError
from casemate.sqlite import connecting, engine
from casemate.sqlite.commit_count import lost_commits
from casemate.sqlite.commit_guard import CommitGuard
from casemate.sqlite.connecting import Room
from casemate.sqlite.connections import Connections
from casemate.sqlite.family import Family
from casemate.store.errors import StoreKeyError
from casemate.store.sqlite import old_records
from casemate.store.sqlite.connection import require_readable
from casemate.store.sqlite.faults import STORE
from casemate.store.sqlite.files import DATABASE, StoreFolder
from casemate.store.sqlite.moved import (
    Mark,
    MoveState,
    read_mark,
    remove_mark,
    require_unmoved,
    write_mark,
)
from casemate.store.sqlite.schema import APPLICATION_ID as STORE_ID
from casemate.store.sqlite.schema import MIGRATIONS as STORE_MIGRATIONS
from casemate.store.sqlite.schema import migrate as migrate_store
from casemate.store.sqlite.store import require_whole_log
from casemate.vault.interface import Purpose

_PIECE: Final = 1 << 20


class _ProjectRows(SqlitePart):
    """Those of a project; one that keeps texts where others keep tokens is given their secret."""

    def __init__(self, connection: engine.Connection, form: SqliteForm, name: str) -> None:
        super().__init__(connection, form, DATA, name)
        self.added: tuple[Row, ...] = ()

    def rows(self, table: Table) -> Iterator[Row]:
        """Give a table's rows as they pass."""
        yield from super().rows(table)
        if table.name == "meta":
            yield from self.added


class SqliteFolder:
    """What source and target have in common."""

    def __init__(self, folders: Folders, keys: Keys, told: Told, *, place: str) -> None:
        """Lock store and data. Raises StoreLockedError, DataLockedError if a node has them.

        `place` is how people call the folder.
        """
        self.place = place
        self._folders = folders
        self._keys = keys
        self._told = told
        self._opened = ExitStack()
        self._store = StoreFolder.acquire(folders.store, moving=True)
        # Nothing was written: whether it was closed in order is as before.
        self._opened.callback(self._store.release, clean=not self._store.unclean)
        try:
            self._data = DataFolder(folders.projects)
        except BaseException:
            self._opened.close()
            raise
        self._opened.callback(self._data.close)

    def close(self) -> None:
        """Unlock."""
        self._opened.close()

    def project(self, name: str) -> AbstractContextManager[ProjectParts]:
        """Open a project to read."""
        found = self._data.database(name)
        if found is None:
            raise NotFoundError(f"The project {name} has no database.")
        return self._project(name, found)

    @contextmanager
    def _project(self, name: str, found: DatabaseFile) -> Iterator[ProjectParts]:
        require_regular(found.path)
        if (lost := lost_commits(found.path)) is not None:
            raise DataCorruptError(
                f"The project {name} has lost what was acknowledged: {lost}.", next_step=RESTORE
            )
        key = self._keys(name, Purpose.DATA, found.version)
        examine = partial(
            _require_version, f"The project {name}", DATA, PROJECT_ID, PROJECT_MIGRATIONS
        )
        connections = Connections(
            f"the data of {name}", guard_of(found.path), key.key, DATA, room(DataOptions())
        )
        with _opened(connections, examine) as connection, self._contents(name) as contents:
            yield _parts(name, connection, contents)

    @contextmanager
    def _contents(self, name: str) -> Iterator[Contents]:
        files = ObjectFiles(open_folder(self._data.objects / name))
        with closing(files):
            yield Contents(
                name, files, lambda version: self._keys(name, Purpose.OBJECTS, version), self._told
            )

    def bundles(self) -> list[Bundle]:
        """Return what sealed bundles there are."""
        found = []
        for file in sorted(self._folders.bundles.glob(f"*{SUFFIX}")):
            told = file.lstat()
            found.append(Bundle(file.stem, told.st_size, told.st_mtime))
        return found

    def bundle(self, bundle: Bundle) -> Iterator[bytes]:
        """Give the bytes of one."""
        with SealedFolder(self._folders.bundles).file(bundle.digest).open("rb") as file:
            while piece := file.read(_PIECE):
                self._told(len(piece))
                yield piece


class SqliteSource(SqliteFolder):
    """A data folder that is moved away. Satisfies `casemate.migration.place.Source`."""

    def __init__(self, folders: Folders, keys: Keys, told: Told, *, place: str, to: str) -> None:
        """Lock it. Raises MigrationError if it was moved to another place than `to`."""
        if not (folders.store / DATABASE).exists():
            raise MigrationError(
                f"{place} has no store: there is nothing to be moved.",
                next_step="Name the folder that `casemate serve --data` was given.",
            )
        super().__init__(folders, keys, told, place=place)
        try:
            mark = read_mark(folders.store)
            if mark is not None and mark != Mark(state=MoveState.AWAY, place=to):
                require_unmoved(folders.store)
            self.is_moved = mark is not None
        except BaseException:
            self.close()
            raise

    @contextmanager
    def control(self) -> Iterator[Part]:
        """Open the control store to read."""
        database = self._store.database
        require_whole_log(database)
        key = self._store_key()
        examine = partial(_require_version, "The store", STORE, STORE_ID, STORE_MIGRATIONS)
        connections = Connections("the store", CommitGuard(database), key, STORE, Room())
        with _opened(connections, examine) as connection:
            if left := old_records.tables(connection):
                raise MigrationError(
                    f"The store still has records of an earlier release ({', '.join(left)}), which "
                    "the recorder takes over while a node serves.",
                    next_step="Start the node for some minutes, stop it, and move again.",
                )
            yield SqlitePart(connection, PlainForm(), STORE, "the store")

    def _store_key(self) -> bytes:
        key = self._keys("", Purpose.STORE, None)
        while True:
            try:
                require_readable(self._store, key.key)
            except StoreKeyError:
                if key.version <= 1:
                    raise
                key = self._keys("", Purpose.STORE, key.version - 1)
            else:
                return key.key

    def incarnation(self, control: Part) -> int:
        """Return the newest incarnation of any node."""
        return int(control.connection.execute("SELECT newest FROM node_incarnation").fetchone()[0])

    def projects(self) -> list[str]:
        """Return the projects that have data, sorted."""
        return self._data.projects()

    def mark_moved(self, place: str) -> None:
        """Have no node start here any more."""
        write_mark(self._folders.store, Mark(state=MoveState.AWAY, place=place))


class SqliteTarget(SqliteFolder):
    """A data folder that something is moved to. Satisfies `casemate.migration.place.Target`."""

    @property
    def resumes(self) -> bool:
        """Whether a move to here was begun, and has not ended."""
        mark = read_mark(self._folders.store)
        return mark is not None and mark.state is MoveState.UNFINISHED

    def begin(self, source: str) -> None:
        """Take the place."""
        mine = Mark(state=MoveState.UNFINISHED, place=source)
        mark = read_mark(self._folders.store)
        if mark == mine:
            return
        if mark is not None and mark.state is MoveState.UNFINISHED:
            require_unmoved(self._folders.store)
        if self._store.database.exists() or self._data.projects():
            raise TakenError(
                f"{self.place} has a store or data already. Nothing was changed.",
                next_step="Move its folders store, data and bundles away, not the vault; then run "
                "this again.",
            )
        write_mark(self._folders.store, mine)

    def whole(self) -> list[str]:
        """Return the projects that an earlier try has moved."""
        return self._data.projects()

    def drop(self, name: str) -> None:
        """Delete what there is of a project: its database, then its files."""
        while (found := self._data.database(name)) is not None:
            self._data.delete(found.path)
        self._data.sync()
        shutil.rmtree(self._data.objects / name, ignore_errors=True)

    @contextmanager
    def new_project(self, name: str, tokens: bytes) -> Iterator[ProjectParts]:
        """Write a draft, which gets its name once it is whole."""
        self.drop(name)
        key = self._keys(name, Purpose.DATA, None)
        draft = self._data.draft(name)
        with DATA.translated():
            engine.connect(draft, key.key).close()
        connection = connecting.open_writer(draft, key.key, DATA, room(DataOptions()))
        with closing(connection), self._contents(name) as contents:
            with DATA.translated():
                migrate_project(connection)
                connection.execute("DELETE FROM meta")  # it is moved as well
            form = SqliteForm(tokens, has_tokens=True)
            yield ProjectParts(
                _ProjectRows(connection, form, f"the project {name}"), contents, tokens
            )
            with DATA.translated():
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        sync_file(draft)
        self._data.place(draft, name, key.version)

    def keep_bundle(self, bundle: Bundle, pieces: Iterator[bytes]) -> None:
        """Keep one."""

        def fill(target: BinaryIO) -> None:
            for piece in pieces:
                target.write(piece)

        SealedFolder(self._folders.bundles).write_now(bundle.digest, fill)

    def drop_bundle(self, bundle: Bundle) -> None:
        """Delete one."""
        SealedFolder(self._folders.bundles).file(bundle.digest).unlink(missing_ok=True)

    @contextmanager
    def new_control(self) -> Iterator[Part]:
        """Write a draft, which takes the store's place once it is whole."""
        key = self._keys("", Purpose.STORE, None)
        with (
            self._store.draft() as draft,
            STORE.translated(),
            closing(engine.connect(draft, key.key)) as connection,
        ):
            migrate_store(connection)
            yield SqlitePart(connection, PlainForm(), STORE, "the store")

    def finish_control(self, control: Part, incarnation: int) -> None:
        """Have the next start of a node be newer than all before."""
        control.connection.execute("UPDATE node_incarnation SET newest = ?", (incarnation,))

    def open(self) -> None:
        """Take the marks away."""
        with suppress(FileNotFoundError):
            (self._folders.data / SHARED).unlink()
        sync_folder(self._folders.data)
        remove_mark(self._folders.store)


def _parts(name: str, connection: engine.Connection, contents: Contents) -> ProjectParts:
    found = dict(
        connection.execute("SELECT name, value FROM meta WHERE name IN ('marks', 'tokens')")
    )
    tokens = found.get("tokens") or token_secret(found["marks"])
    rows = _ProjectRows(
        connection, SqliteForm(tokens, has_tokens="tokens" in found), f"the project {name}"
    )
    if "tokens" not in found:
        rows.added = (("tokens", tokens),)
    return ProjectParts(rows, contents, tokens)


@contextmanager
def _opened(connections: Connections, examine: partial[None]) -> Iterator[engine.Connection]:
    """Open a database as its node would, so that what is known of its log stays true."""
    try:
        connection = connections.open_writer(examine)
        try:
            yield connection
        finally:
            connections.end(connection)
    finally:
        connections.close()


def _require_version(
    what: str,
    family: Family,
    application: int,
    migrations: tuple[tuple[str, ...], ...],
    connection: engine.Connection,
) -> None:
    """Refuse a database of another program or release. It was not changed."""
    (found,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if found != application:
        raise family.damaged.of(f"{what} has the application id {found:#x}")
    if version > len(migrations):
        raise family.newer.of(f"{version}; this Casemate knows up to {len(migrations)}")
    if version < len(migrations):
        raise MigrationError(
            f"{what} has schema version {version}, that of an earlier release; expected "
            f"{len(migrations)}. Nothing was changed.",
            next_step="Run casemate check --data FOLDER, which brings all of it forward.",
        )
