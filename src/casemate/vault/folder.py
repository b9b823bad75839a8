"""The vault's folder: one process at a time, whole files or none.

Everything goes through the folder's own descriptor, so the vault's user needs no right to the
folders above it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from pathlib import Path

from casemate.unwritten import Place
from casemate.vault.errors import VaultDamagedError, VaultError, VaultUnavailableError

MAX_FILE = 12 * 1024 * 1024
STATE_FILE = "vault.sealed"
_NEW = ".new"
ENDING_SECONDS = 1.0
_LOOK_SECONDS = 0.02
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def require_closed(path: Path) -> None:
    """Refuse a folder that a process has open, without opening it. One that is missing is closed.

    Nobody is kept out by the look: it shares the lock with others that look, and gives it back. A
    node that was killed may take a moment to let go of it: that long is waited. Raises VaultError.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return  # who opens it says what is the matter
    deadline = time.monotonic() + ENDING_SECONDS
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise _open_elsewhere(path) from error
                time.sleep(_LOOK_SECONDS)
            except OSError:
                return
            else:
                return
    finally:
        os.close(descriptor)


def _open_elsewhere(path: Path) -> VaultError:
    return VaultError(
        f"The vault {path} is open in another process.",
        next_step="Stop the node that uses this data folder.",
    )


class VaultFolder:
    """An open, locked folder."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Use `VaultFolder.open`."""
        self.path = path
        self.descriptor = descriptor
        self._written = Place("vault", descriptor)

    @classmethod
    def open(cls, path: Path, *, create: bool, uid: int | None) -> VaultFolder:
        """Open `path`, made where missing if `create`, and lock it (flock(2)).

        The folder is made private to `uid` (None: to this user). Raises VaultError.
        """
        try:
            if create:
                path.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise VaultError(
                f"The vault's folder {path} cannot be opened: {error.strerror}.",
                next_step="Give a data folder that the node's user owns, not a link to one.",
            ) from error
        try:
            _require_owner(path, descriptor, uid)
            os.fchmod(descriptor, 0o700)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise _open_elsewhere(path) from error
        except OSError as error:
            os.close(descriptor)
            raise VaultError(
                f"The vault's folder {path} cannot be made private: {error.strerror}.",
                next_step="Have the node's user own it.",
            ) from error
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor)

    def close(self) -> None:
        """Unlock and close."""
        self._written.worked()
        os.close(self.descriptor)

    def names(self) -> list[str]:
        """Return the names in the folder."""
        return os.listdir(self.descriptor)  # noqa: PTH208 - a descriptor has no Path

    def read(self, name: str) -> bytes | None:
        """Return a file whole, None if there is none. Never follows a link."""
        try:
            descriptor = os.open(name, _READ_FLAGS, dir_fd=self.descriptor)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._fault(name, "be read", error) from error
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_FILE:
                raise VaultDamagedError(
                    f"{self.path / name} is not a regular file of at most {MAX_FILE} bytes.",
                    next_step="Restore the folder data/vault from a backup.",
                )
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read(MAX_FILE + 1)
        except OSError as error:
            raise self._fault(name, "be read", error) from error
        finally:
            os.close(descriptor)

    def write(self, name: str, data: bytes) -> None:
        """Put a file in place as a whole: written beside, fsynced, renamed, the folder fsynced.

        Raises VaultError; the file is then as it was before.
        """
        beside = name + _NEW
        try:
            descriptor = os.open(
                beside,
                os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC,
                0o600,
                dir_fd=self.descriptor,
            )
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            os.rename(beside, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        except OSError as error:
            self._written.failed(error.strerror or type(error).__name__)
            self.remove(beside)
            raise self._fault(name, "be written", error) from error
        try:
            with self._written.writing():
                os.fsync(self.descriptor)
        except OSError as error:
            raise self._fault(name, "be made durable", error) from error

    def remove(self, name: str) -> None:
        """Remove a file if it is there. What cannot be removed is swept by the next start."""
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self.descriptor)

    def remove_unfinished(self) -> None:
        """Remove what a killed vault was writing."""
        for name in self.names():
            if name.endswith(_NEW):
                self.remove(name)

    def _fault(self, name: str, what: str, error: OSError) -> VaultError:
        return VaultUnavailableError(
            f"The vault's file {self.path / name} cannot {what}: {error.strerror}.",
            next_step="Make room on that file system and check the rights of the folder's files.",
        )


def _require_owner(path: Path, descriptor: int, uid: int | None) -> None:
    wanted = os.geteuid() if uid is None else uid
    owner = os.fstat(descriptor).st_uid
    if owner == wanted:
        return
    # Root makes the folder and gives it away; never one with something in it.
    if owner == os.geteuid() and not os.listdir(descriptor):
        os.fchown(descriptor, wanted, wanted)
        return
    raise VaultError(
        f"The vault's folder {path} belongs to user {owner}, expected {wanted}.",
        next_step=f"Run: chown -R {wanted}:{wanted} {path}",
    )
