"""What can go wrong with a database, one class for each kind.

Nobody raises these themselves: who has a database makes of each a class of its own
(`StoreFullError`, `DataFullError`), by which callers tell whose database it is. The code of this
package goes by the kinds here.
"""

from __future__ import annotations

from pathlib import Path

from casemate.model.errors import CasemateError, OutOfServiceError, UnavailableError


class DatabaseError(CasemateError):
    """A database's medium failed."""


class DatabaseFullError(DatabaseError, UnavailableError):
    """The disk of a database is full."""


class DatabaseMediumError(DatabaseError, UnavailableError):
    """The disk of a database fails at the moment."""


class DatabaseUnsureError(DatabaseMediumError):
    """The disk failed during a commit: what was to be kept may be there, or may come back."""


class DatabaseGoneError(DatabaseError, OutOfServiceError):
    """A file of a database was removed or replaced while it was open."""


class DatabaseBusyError(DatabaseError, UnavailableError):
    """A database is in use and cannot be opened at the moment."""


class DatabaseLockedError(DatabaseError, OutOfServiceError):
    """Another node has this database open."""


class DatabaseForeignError(DatabaseError, OutOfServiceError):
    """What is at the database's place was not written by Casemate."""


class DatabaseCorruptError(DatabaseError):
    """A database is damaged."""


class DatabaseKeyError(DatabaseError, OutOfServiceError):
    """A database was written with another key."""


class DatabaseVersionError(DatabaseError, OutOfServiceError):
    """A database was written by a newer Casemate."""


class DatabaseClosedError(UnavailableError):
    """The database is closing."""


class FileGoneError(Exception):
    """A file of an open database was removed or replaced; inside of the adapters only."""

    def __init__(self, path: Path) -> None:
        """Keep which."""
        super().__init__(path.name)
        self.path = path
