"""Where advisories are kept, and what is remembered of the last attempt to import some."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from casemate.advisories.errors import AdvisoriesError, BusyError
from casemate.decoding import DECODING_ERRORS, decodable

_MAX_ATTEMPT_BYTES = 64 * 1024


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """An import that did not become what is in force. Times are seconds since 1970.

    `ended` is None for one that runs, or was killed; `cut_short` tells one that began to read its
    source and could not read all of it.
    """

    begun: float
    source: str
    ended: float | None = None
    problem: str = ""
    cut_short: bool = False


def give(path: Path, *, like: Path) -> None:
    """As root, have something belong to whom a folder belongs: the gateway reads its node's."""
    if os.geteuid() == 0:
        owner = like.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


class Place:
    """The folder of a database of advisories: the database, the last attempt, a lock."""

    def __init__(self, folder: Path) -> None:
        """Name what is in it; nothing is made or read."""
        self.folder = folder
        self.database = folder / "database"
        self.attempt = folder / "attempt.json"
        self._lock = folder / "lock"

    @contextmanager
    def importing(self) -> Iterator[None]:
        """Hold the folder for one import. Raises BusyError, OSError."""
        made = not self.folder.exists()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if made:
            give(self.folder, like=self.folder.parent)
        descriptor = os.open(
            self._lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BusyError(
                    f"Another import into {self.folder} is running.",
                    next_step="Wait for it, then see `casemate advisories status`.",
                ) from error
            give(self._lock, like=self.folder)
            for leftover in self.folder.glob(".advisories-*"):
                leftover.unlink(missing_ok=True)  # of an import that was killed
            yield
        finally:
            os.close(descriptor)

    def is_importing(self) -> bool:
        """Tell whether an import is running now."""
        try:
            descriptor = os.open(self._lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def remember(self, attempt: Attempt) -> None:
        """Write what became of an import. Raises OSError."""
        descriptor, name = tempfile.mkstemp(prefix=".advisories-", dir=self.folder)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(attempt))
                file.flush()
                os.fsync(descriptor)
            give(temporary, like=self.folder)
            temporary.replace(self.attempt)
        finally:
            temporary.unlink(missing_ok=True)

    def last_attempt(self) -> Attempt | None:
        """Return the last import that did not become what is in force.

        Raises AdvisoriesError if something is there that cannot be read.
        """
        try:
            descriptor = os.open(self.attempt, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                return msgspec.json.decode(file.read(_MAX_ATTEMPT_BYTES), type=decodable(Attempt))
        except FileNotFoundError:
            return None
        except (OSError, *DECODING_ERRORS) as error:
            raise AdvisoriesError(
                f"{self.attempt} cannot be read, so nobody knows how the last import ended.",
                next_step="Import again: casemate advisories import SOURCE",
            ) from error

    def forget_attempt(self) -> None:
        """Remove what was remembered: the import came into force."""
        self.attempt.unlink(missing_ok=True)


def default_place(environ: Mapping[str, str]) -> Place:
    """Return where a user's advisories are kept: CASEMATE_ADVISORIES, or below XDG_CACHE_HOME.

    They are data that can be had again. Where a cache is cleared they are missing, which is said.
    """
    named = environ.get("CASEMATE_ADVISORIES")
    if named:
        return Place(Path(named).absolute())
    base = Path(environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():
        base = Path.home() / ".cache"
    return Place(base / "casemate" / "advisories")


def place_of_node(data: Path) -> Place:
    """Return where the advisories of the node with a data folder are kept."""
    return Place(data / "advisories")
