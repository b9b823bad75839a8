"""What a project's data raises besides the errors of the model."""

from __future__ import annotations

from casemate.model.errors import CasemateError, UnavailableError


class LimitError(CasemateError):
    """A limit of size or number is reached."""


class DataError(CasemateError):
    """The medium of a project's data failed."""


class DataFullError(DataError, UnavailableError):
    """The disk of a project's data is full."""


class DataMediumError(DataError, UnavailableError):
    """The disk of a project's data fails at the moment."""


class CommitUnsureError(DataMediumError):
    """The disk failed during a commit: what was to be kept may be there, or may come back."""


class DataGoneError(DataError):
    """A file of a project's data was removed or replaced while it was open."""


class DataBusyError(DataError, UnavailableError):
    """A project's data is in use and cannot be opened at the moment."""


class DataLockedError(DataError):
    """Another node has this data open."""


class DataForeignError(DataError):
    """What is at the data's place was not written by Casemate."""


class DataCorruptError(DataError):
    """A project's data is damaged, or was changed from outside."""


class DataKeyError(DataError):
    """A project's data was written with another key."""


class DataVersionError(DataError):
    """A project's data was written by a newer Casemate."""


class DataClosedError(UnavailableError):
    """The project's data is closing."""
