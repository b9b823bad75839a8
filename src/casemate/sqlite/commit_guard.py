"""What is asked of the files around each commit, and which errors end a connection's life."""

from __future__ import annotations

import logging
from pathlib import Path

from casemate.sqlite import engine
from casemate.sqlite.commit_count import CommitCount
from casemate.sqlite.errors import FileGoneError
from casemate.sqlite.open_file import OpenFile

_LOG = logging.getLogger(__name__)
_HARMLESS = frozenset(
    {
        *(1, 5, 6, 9, 13),  # ERROR, BUSY, LOCKED, INTERRUPT, FULL
        *(18, 19, 20, 21, 25),  # TOOBIG, CONSTRAINT, MISMATCH, MISUSE, RANGE
    }
)
"""Primary result codes (sqlite.org/rescode.html) after which a connection is as good as before."""
_PAGES = frozenset({engine.CORRUPT, engine.NOTADB})


def fault_of(error: BaseException | None) -> engine.Error | MemoryError | None:
    """Return what the engine raised behind one of our errors, None if it was not the engine."""
    while error is not None:
        # The codec gives no page where it has failed before, and the engine takes that for
        # memory that ran out.
        if isinstance(error, engine.Error | MemoryError):
            return error
        error = error.__cause__
    return None


def is_condemned(error: BaseException) -> bool:
    """Tell whether a connection on which this was raised has to be replaced.

    The engine refuses every page of a connection that met one that it could not read.
    """
    fault = fault_of(error)
    if fault is None:
        return False
    code = getattr(fault, "sqlite_errorcode", None)
    if isinstance(fault, engine.InterfaceError | engine.ProgrammingError):
        return False
    return not isinstance(code, int) or code & 0xFF not in _HARMLESS


def is_about_pages(error: BaseException) -> bool:
    """Tell whether the engine says of a page that it is damaged, which may be a failed read."""
    fault = fault_of(error)
    code = getattr(fault, "sqlite_errorcode", None)
    return isinstance(fault, MemoryError) or (isinstance(code, int) and code & 0xFF in _PAGES)


class CommitGuard:
    """Belongs to one open database. `check` may be called by any thread, the rest by its writer."""

    def __init__(self, path: Path) -> None:
        """Look at the files of the database at `path`, before it is connected to. OSError."""
        self.file = OpenFile(path)
        try:
            self._count = CommitCount(path)
        except BaseException:
            self.file.close()
            raise
        self._counts = True
        """False while how much is committed cannot be written down."""
        self._gone = False
        self._is_synced = False

    def attach(self) -> None:
        """Look at the log that a connection has opened just now. Raises OSError."""
        if not self._is_synced:
            # What a killed process had committed and not yet synced is told as kept from now on.
            # The log of a connection of ours holds no such thing.
            self.file.sync_log()
            self._is_synced = True
        self._count.attach()
        self.file.learn_log()

    def begins(self) -> None:
        """Refuse to begin while a file that was missed is not back. Raises FileGoneError."""
        if self._gone:
            self.check()

    def check(self) -> None:
        """Raise FileGoneError if a file is not at its place any more."""
        missing = self.file.missing()
        self._gone = missing is not None
        if missing is not None:
            raise FileGoneError(missing)

    def committed(self) -> None:
        """Write down that a commit was made, before anybody is told. Raises FileGoneError."""
        self.check()
        try:
            self._count.note()
        except OSError as error:
            # What was committed is durable; only that it was could not be noticed if it went.
            if self._counts:
                _LOG.error(
                    "how much of %s is committed cannot be written down: %s",
                    self.file.path.name,
                    error.strerror,
                )
            self._counts = False
        else:
            self._counts = True

    def faults(self, damage: str) -> tuple[str, ...]:
        """Return what is wrong, in words for the operator; `damage` is what its user has met."""
        found = []
        missing = self.file.missing()
        if missing is not None:
            found.append(f"{missing.name} was removed or replaced while it is open")
        if damage:
            found.append(f"damaged: {damage}")
        if not self._counts:
            found.append("how much is committed cannot be written down")
        return tuple(found)

    def closing(self) -> None:
        """Say that a connection will be closed, and its log with it. Raises OSError."""
        self.file.forget_log()
        self._count.closing()

    def close(self) -> None:
        """Let go of the files, after the last connection."""
        self._count.close()
        self.file.close()
