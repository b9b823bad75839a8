"""What goes wrong with the database of records."""

from __future__ import annotations

from casemate.model.errors import OutOfServiceError
from casemate.sqlite.errors import (
    DatabaseBusyError,
    DatabaseClosedError,
    DatabaseCorruptError,
    DatabaseError,
    DatabaseFullError,
    DatabaseGoneError,
    DatabaseKeyError,
    DatabaseMediumError,
    DatabaseUnsureError,
    DatabaseVersionError,
)


class RecordsError(DatabaseError):
    """The medium of the records failed."""


class UnstorableRecordError(RecordsError):
    """A record among those that were to be kept together holds what no column takes."""


class RecordsFullError(RecordsError, DatabaseFullError):
    """The disk of the records is full."""


class RecordsMediumError(RecordsError, DatabaseMediumError):
    """The disk of the records fails at the moment."""


class RecordsUnsureError(RecordsMediumError, DatabaseUnsureError):
    """The disk failed during a commit: what was to be kept may be there, or may come back."""


class RecordsGoneError(RecordsError, DatabaseGoneError):
    """A file of the records was removed or replaced while it was open."""


class RecordsMissingError(RecordsError, OutOfServiceError):
    """There were records, and their file is gone."""


class RecordsBusyError(RecordsError, DatabaseBusyError):
    """Another program holds the database of the records."""


class RecordsCorruptError(RecordsError, DatabaseCorruptError):
    """The database of the records is damaged."""


class RecordsKeyError(RecordsError, DatabaseKeyError):
    """The records were written with another key."""


class RecordsVersionError(RecordsError, DatabaseVersionError):
    """The records were written by a newer Casemate."""


class RecordsClosedError(DatabaseClosedError):
    """The records are being closed."""
