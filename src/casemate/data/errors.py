"""What a project's data raises besides the errors of the model."""

from __future__ import annotations

from casemate.model.errors import CasemateError
from casemate.sqlite.errors import (
    DatabaseBusyError,
    DatabaseClosedError,
    DatabaseCorruptError,
    DatabaseError,
    DatabaseForeignError,
    DatabaseFullError,
    DatabaseGoneError,
    DatabaseKeyError,
    DatabaseLockedError,
    DatabaseMediumError,
    DatabaseUnsureError,
    DatabaseVersionError,
)


class LimitError(CasemateError):
    """A limit of size or number is reached."""


class TooLargeError(LimitError):
    """What was to be kept is larger than what keeps it takes."""


class ForgottenError(LimitError):
    """Whether this was kept before is not remembered any more."""


class DataError(DatabaseError):
    """The medium of a project's data failed."""


class DataFullError(DataError, DatabaseFullError):
    """The disk of a project's data is full."""


class DataMediumError(DataError, DatabaseMediumError):
    """The disk of a project's data fails at the moment."""


class CommitUnsureError(DataMediumError, DatabaseUnsureError):
    """The disk failed during a commit: what was to be kept may be there, or may come back."""


class DataGoneError(DataError, DatabaseGoneError):
    """A file of a project's data was removed or replaced while it was open."""


class DataBusyError(DataError, DatabaseBusyError):
    """A project's data is in use and cannot be opened at the moment."""


class DataLockedError(DataError, DatabaseLockedError):
    """Another node has this data open."""


class DataForeignError(DataError, DatabaseForeignError):
    """What is at the data's place was not written by Casemate."""


class DataCorruptError(DataError, DatabaseCorruptError):
    """A project's data is damaged, or was changed from outside."""


class DataKeyError(DataError, DatabaseKeyError):
    """A project's data was written with another key."""


class DataVersionError(DataError, DatabaseVersionError):
    """A project's data was written by a newer Casemate."""


class DataClosedError(DatabaseClosedError):
    """The project's data is closing."""
