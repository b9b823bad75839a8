"""The databases of projects as files in one folder: found, made, and opened only where whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from casemate.blobs import Blobs
from casemate.data.errors import DataCorruptError
from casemate.data.faults import DATA, RESTORE, disk_error
from casemate.data.files import ObjectFiles, open_folder
from casemate.data.folder import DatabaseFile, DataFolder, require_regular
from casemate.data.limits import DataOptions
from casemate.data.orphans import named
from casemate.data.reading import ReadThreads
from casemate.data.schema import migrate
from casemate.data.sqlite_project import SqliteProject, room
from casemate.data.starts import Starts, mark
from casemate.kernel.durability import sync_file
from casemate.set_clock import DeletingClock, SetClock
from casemate.sqlite import engine
from casemate.sqlite.commit_count import forget, lost_commits
from casemate.sqlite.connecting import open_writer
from casemate.sqlite.left_log import left_log
from casemate.vault.interface import DataKey


class SqliteDatabases:
    """The folder of a node that has it alone."""

    def __init__(
        self,
        folder: DataFolder,
        options: DataOptions,
        accepted_losses: frozenset[str],
        blobs: Callable[[str], Blobs] | None = None,
        starts: Starts | None = None,
    ) -> None:
        """Open nothing yet. Projects in `accepted_losses` are opened once without lost commits,
        or as an older copy, which is told by `starts`.

        `blobs` opens the place of a project's large objects; none: a folder beside its database.
        """
        self.in_network = blobs is not None
        self._blobs = blobs or (lambda name: open_folder(folder.objects / name))
        self.folder = folder
        self._options = options
        self._accepted = set(accepted_losses)
        self._starts = starts
        self._swept: set[str] = set()
        self._deleting = DeletingClock()
        self._begun = SetClock()
        self._clocks: dict[str, SetClock] = {}
        """Of projects that were opened. They are closed when nobody uses them: what was set
        meanwhile, or before they were opened first, counts as well."""

    def files_of(self, name: str) -> ObjectFiles:
        """Return the files of a project's objects."""
        return ObjectFiles(self._blobs(name))

    def find(self, name: str) -> DatabaseFile | None:
        """Return a project's file."""
        return self.folder.database(name)

    def close(self) -> None:
        """Unlock the folder."""
        self.folder.close()

    def load(
        self,
        name: str,
        file: DatabaseFile | None,
        page_key: DataKey,
        object_key: DataKey,
        *,
        reads: ReadThreads,
        ready: Callable[[str, set[tuple[str, str]]], None],
    ) -> SqliteProject:
        """Open a project, with a new database if `file` is None."""
        files = self.files_of(name)
        try:
            if file is None:
                _require_nothing_left(files, self.folder.file(name, page_key.version), name)
                file = self._create(name, page_key)
            require_regular(file.path)
            accepted = name in self._accepted
            self._require_whole_log(name, file.path)
            with DATA.translated():
                project = SqliteProject(
                    name,
                    file.path,
                    page_key,
                    object_key,
                    files=files,
                    reads=reads,
                    options=self._options,
                    ready=ready,
                    clock=self._clocks.setdefault(name, SetClock(self._begun)),
                    deleting=self._deleting,
                    starts=self._starts,
                    may_be_older=accepted,
                )
                try:
                    if name not in self._swept:
                        if not files.shared:
                            files.sweep(partial(named, project.writer.connection))
                        self._swept.add(name)
                        self.folder.drop_older(name, file.version)
                except BaseException:
                    project.abandon()
                    raise
        except BaseException:
            files.close()
            raise
        return project

    def _require_whole_log(self, name: str, path: Path) -> None:
        """Refuse a database whose log has lost commits, unless that is accepted."""
        if name in self._accepted:
            self._accepted.discard(name)
            forget(path)
        try:
            lost = lost_commits(path)
        except OSError as error:
            raise disk_error(f"The log of the project {name} cannot be read", error) from error
        if lost is not None:
            raise DataCorruptError(
                f"The project {name} has lost what was acknowledged: {lost}. Nothing was changed.",
                next_step=f"{RESTORE} To go on with what is left: "
                f"casemate serve --accept-loss data/{name}",
            )

    def _create(self, name: str, key: DataKey) -> DatabaseFile:
        """Write an empty database beside its place and rename it there: none is ever half made."""
        try:
            draft = self.folder.draft(name)
            with DATA.translated():
                engine.connect(draft, key.key).close()
                connection = open_writer(draft, key.key, DATA, room(self._options))
                try:
                    migrate(connection)
                    if self._starts is not None:  # one of this name may have been here before
                        mark(connection, self._starts.now())
                finally:
                    connection.close()
            sync_file(draft)
            final = self.folder.place(draft, name, key.version)
        except OSError as error:
            raise disk_error(f"No database can be created in {self.folder.path}", error) from error
        return DatabaseFile(final, key.version)


def _require_nothing_left(files: ObjectFiles, database: Path, project: str) -> None:
    """Refuse to begin anew where objects or changes of a database that is gone are left."""
    number = files.count()
    try:
        log = left_log(database)
    except OSError as error:
        raise disk_error(f"The log of the project {project} cannot be examined", error) from error
    if number:
        found = f"The project {project} has {number} files of objects but no database."
    elif log is not None:
        found = (
            f"The database of the project {project} is missing but its log {log.name} is there, "
            "with changes in it."
        )
    else:
        return
    raise DataCorruptError(
        f"{found} Nothing was changed.",
        next_step="Restore the data and the vault from a backup. To go on without: casemate "
        f"serve --accept-loss data/{project}",
    )
