"""The folder of all projects' data: the lock that admits one node, and the names of its files.

<project>@<version>.db     database, encrypted with that version of the project's DATA key
objects/<project>/<random> content of a large object
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from casemate.data.errors import (
    DataCorruptError,
    DataError,
    DataForeignError,
    DataLockedError,
)
from casemate.data.limits import require_project
from casemate.sqlite.left_log import SIDES, accept_loss, delete_sides

OBJECTS = "objects"
_DATABASE = re.compile(
    r"(?P<project>[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)@(?P<version>[0-9]{1,9})\.db\Z"
)
_SIDE = re.compile(_DATABASE.pattern.removesuffix(r"\Z") + f"(?:{'|'.join(SIDES)})\\Z")


class DatabaseFile(NamedTuple):
    """A project's database file and the version of the key that it is encrypted with."""

    path: Path
    version: int


class DataFolder:
    """A folder that this process alone has open (flock(2); released however the process ends)."""

    def __init__(self, path: Path) -> None:
        """Create the folder where missing, make it private, lock it.

        Raises DataLockedError if another process holds it, DataForeignError if it is no folder of
        ours, DataError if the system refuses.
        """
        self.path = path
        self.objects = path / OBJECTS
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(path, flags)
        except OSError as error:
            raise DataError(
                f"The data folder {path} cannot be opened: {error.strerror}.",
                next_step="Give a folder, not a link to one, that this user can create or owns.",
            ) from error
        try:
            self._take()
            self.objects.mkdir(mode=0o700, exist_ok=True)
            if self.objects.is_symlink():
                raise DataForeignError(
                    f"{self.objects} is a link, expected a folder.",
                    next_step="Move it away, or restore the data from a backup.",
                )
        except OSError as error:
            self.close()
            raise DataError(
                f"The data folder {path} cannot be prepared: {error.strerror}.",
                next_step="Check its rights and its file system.",
            ) from error
        except BaseException:
            self.close()
            raise

    def _take(self) -> None:
        owner = os.fstat(self._descriptor).st_uid
        if owner != os.geteuid():
            raise DataForeignError(
                f"The data folder {self.path} belongs to user {owner}, not {os.geteuid()}.",
                next_step="Run the node as the folder's owner, or give another folder.",
            )
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataLockedError(
                f"The lock on {self.path} is held: another node has this data open.",
                next_step="Stop that node, or give this one another data folder.",
            ) from error
        os.fchmod(self._descriptor, 0o700)

    def close(self) -> None:
        """Unlock."""
        os.close(self._descriptor)

    def sync(self) -> None:
        """Make the names in the folder durable."""
        os.fsync(self._descriptor)

    def _names(self) -> list[str]:
        return os.listdir(self._descriptor)  # noqa: PTH208 - of the descriptor

    def projects(self) -> list[str]:
        """Return the projects that have data, sorted."""
        found = (_DATABASE.match(name) for name in self._names())
        return sorted({match["project"] for match in found if match})

    def database(self, project: str) -> DatabaseFile | None:
        """Return a project's database, None if it has none.

        Of two versions the newer one counts: it got its name when it was complete (`rotation`).
        """
        require_project(project)
        versions = [
            int(match["version"])
            for match in map(_DATABASE.match, self._names())
            if match and match["project"] == project
        ]
        if not versions:
            return None
        newest = max(versions)
        return DatabaseFile(self.file(project, newest), newest)

    def sizes(self) -> dict[str, int]:
        """Return how many bytes the files of each project have. Blocks. Raises OSError."""
        found: dict[str, int] = {}
        for entry in os.scandir(self.path):
            name = entry.name.removesuffix("-wal")
            if (known := _DATABASE.match(name)) is not None:
                project = known["project"]
                found[project] = found.get(project, 0) + _size(entry)
        for project in found:
            with suppress(FileNotFoundError), os.scandir(self.objects / project) as entries:
                found[project] += sum(map(_size, entries))
        return found

    def set_aside(self, project: str) -> None:
        """Give what is left of a project whose database is gone other names. Raises DataError."""
        require_project(project)
        aside = self.objects / f"{project}.lost-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
        try:
            for match in filter(None, map(_SIDE.match, self._names())):
                if match["project"] == project:
                    accept_loss(self.file(project, int(match["version"])))
            with suppress(FileNotFoundError):
                (self.objects / project).rename(aside)
        except OSError as error:
            raise DataError(
                f"What is left of {project} cannot be moved away: {error.strerror}."
            ) from error

    def place(self, draft: Path, project: str, version: int) -> Path:
        """Have a database that is whole get its name, durably; return that. Raises OSError.

        What stands beside that name is of one that never counted: its log would be played into
        this one.
        """
        final = self.file(project, version)
        delete_sides(final)
        draft.rename(final)
        self.sync()
        return final

    def drop_older(self, project: str, newest: int) -> None:
        """Delete what a rotation left, once the database that took its place has been opened."""
        for name in self._names():
            match = _DATABASE.match(name)
            if match and match["project"] == project and int(match["version"]) < newest:
                self.delete(self.path / name)

    def file(self, project: str, version: int) -> Path:
        """Return the path of a project's database under a version of its key."""
        return self.path / f"{project}@{version}.db"

    def draft(self, project: str) -> Path:
        """Return the path where a database is made, empty and private, before it gets its name."""
        draft = self.path / f"{project}.draft"
        self.delete(draft)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(draft, flags, 0o600))
        return draft

    def delete(self, database: Path) -> None:
        """Delete a database with its log. One that is not there is fine."""
        database.unlink(missing_ok=True)
        delete_sides(database)


def require_regular(file: Path) -> None:
    """Refuse a database that is a link, no file or empty; make it private.

    SQLite takes an empty file for a new database, beside which all objects would be orphans; none
    is ever empty when it gets its name. Raises DataForeignError, DataCorruptError.
    """
    try:
        found = os.lstat(file)
    except OSError as error:
        raise DataError(f"{file} cannot be examined: {error.strerror}.") from error
    if not stat.S_ISREG(found.st_mode):
        raise DataForeignError(
            f"{file} is not a regular file.", next_step="Move it away, or restore from a backup."
        )
    if not found.st_size:
        raise DataCorruptError(
            f"{file} is empty. Nothing was changed.",
            next_step="Restore the data and the vault from a backup.",
        )
    if stat.S_IMODE(found.st_mode) != 0o600:
        file.chmod(0o600)


def _size(entry: os.DirEntry[str]) -> int:
    """Return the bytes of a file; 0 if it is none, or gone a moment later."""
    with suppress(FileNotFoundError):
        found = entry.stat(follow_symlinks=False)
        return found.st_size if stat.S_ISREG(found.st_mode) else 0
    return 0
