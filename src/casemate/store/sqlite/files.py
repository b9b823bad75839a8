"""The store's folder: rights, the lock that admits one node, and the mark of an unclean end."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from casemate.sqlite.left_log import delete_sides
from casemate.store.errors import StoreError, StoreForeignError, StoreLockedError
from casemate.store.sqlite.moved import require_unmoved

DATABASE = "records.db"
OWNER = "owner.pid"


class StoreFolder:
    """A folder that this process alone has open.

    The lock is flock(2) on the folder itself, so deleting a file cannot void it, and the kernel
    releases it whichever way the process ends. `owner.pid` names the holder; that it is not empty
    when the lock was free tells that the holder ended without closing the store.
    """

    def __init__(self, path: Path, descriptor: int, *, unclean: bool) -> None:
        """Use `StoreFolder.acquire` instead."""
        self.path = path
        self.database = path / DATABASE
        self.unclean = unclean
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, path: Path, *, moving: bool = False) -> StoreFolder:
        """Create the folder where missing, make it private, lock it.

        One that was moved, or is not whole yet, is for `moving` alone.

        Raises StoreLockedError if another process (or another store of this one) holds it,
        StoreForeignError if it is no folder or not ours, StoreError if the system refuses.
        """
        try:
            descriptor = _open_folder(path)
        except OSError as error:
            raise StoreError(
                f"The store's folder {path} cannot be opened: {error.strerror}.",
                next_step="Give a folder, not a link to one, that this user can create or owns.",
            ) from error
        try:
            _lock(path, descriptor)
            if not moving:
                require_unmoved(path)
            return cls(path, descriptor, unclean=_mark_owner(path))
        except BaseException:
            os.close(descriptor)
            raise

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """Give an empty private file; afterwards it durably takes the database's place.

        If the block raises, the database stays as it was. Raises StoreError if the system refuses.
        """
        draft = self.path / f"{DATABASE}.new"
        leftovers = (draft, *(self.path / f"{draft.name}{end}" for end in ("-journal", "-wal")))
        try:
            for leftover in leftovers:
                leftover.unlink(missing_ok=True)
            descriptor = create_private(draft)
            try:
                yield draft
                os.fsync(descriptor)
            except BaseException:
                for leftover in leftovers:
                    leftover.unlink(missing_ok=True)
                raise
            finally:
                os.close(descriptor)
            delete_sides(self.database)  # of one that never counted, or whose loss is accepted
            draft.rename(self.database)
            os.fsync(self._descriptor)
        except OSError as error:
            raise StoreError(
                f"No store can be written in {self.path}: {error.strerror}.",
                next_step="Make room on that file system and check its rights.",
            ) from error

    def release(self, *, clean: bool) -> None:
        """Unlock. `clean` states that everything was written and the database closed."""
        try:
            if clean:
                with suppress(FileNotFoundError):
                    os.truncate(self.path / OWNER, 0)
        except OSError as error:
            raise StoreError(
                f"{self.path / OWNER} cannot be emptied: {error.strerror}.",
                next_step="Nothing is lost; the next start checks the database once more.",
            ) from error
        finally:
            os.close(self._descriptor)


def _open_folder(path: Path) -> int:
    if path.exists() and not path.is_dir():
        raise StoreForeignError(
            f"The store needs a folder, but {path} is something else.",
            next_step="Give another place, or move that file away.",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _require_own(path, descriptor)
        os.fchmod(descriptor, 0o700)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _require_own(path: Path, descriptor: int) -> None:
    """Refuse a folder of another user, and one in use for something else: its mode stays."""
    owner = os.fstat(descriptor).st_uid
    if owner != os.geteuid():
        raise StoreForeignError(
            f"The store's folder {path} belongs to user {owner}, not to user {os.geteuid()}.",
            next_step="Run the node as the folder's owner, or give another folder.",
        )
    names = os.listdir(descriptor)
    if names and not any(name == OWNER or name.startswith(DATABASE) for name in names):
        raise StoreForeignError(
            f"The folder {path} holds other things, {sorted(names)[0]!r} for one, and no store.",
            next_step="Give the store a folder of its own.",
        )


def _lock(path: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StoreLockedError(
            f"The lock on {path} is held by process {_owner(path) or 'unknown'}: "
            "another node has this store open.",
            next_step="Stop that node, or give this one another data folder.",
        ) from error
    except OSError as error:
        raise StoreError(
            f"The folder {path} cannot be locked: {error.strerror}.",
            next_step="Put the store on a local file system that supports flock(2).",
        ) from error


def _owner(path: Path) -> str:
    try:
        return (path / OWNER).read_text("ascii", "replace").strip()[:20]
    except OSError:
        return ""


def _mark_owner(path: Path) -> bool:
    """Write our process id; return True if the one before us left its own."""
    file = path / OWNER
    try:
        descriptor = create_private(file)
        try:
            unclean = os.fstat(descriptor).st_size > 0
            os.ftruncate(descriptor, os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(
            f"{file} cannot be written: {error.strerror}.",
            next_step="Make room on that file system and check its rights.",
        ) from error
    return unclean


def create_private(file: Path) -> int:
    """Open `file` for reading and writing, created where missing, with mode 0600, never a link.

    Returns the descriptor. Raises OSError, StoreForeignError if it is no regular file.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StoreForeignError(
            f"{file} is not a regular file.", next_step="Move it away, or restore from a backup."
        )
    os.fchmod(descriptor, 0o600)
    return descriptor
