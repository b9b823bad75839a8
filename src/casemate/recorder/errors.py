"""What goes wrong when something is to be recorded, or looked up."""

from __future__ import annotations

from casemate.model.errors import (
    CasemateError,
    InvalidInputError,
    OutOfServiceError,
    UnavailableError,
)


class RecorderError(CasemateError):
    """The recorder cannot do this."""


class RecorderInputError(InvalidInputError):
    """What was asked of the recorder is not what it takes."""


class NotRecordedError(UnavailableError):
    """What happens cannot be recorded at the moment, so it may not happen."""


class JournalMissingError(RecorderError, OutOfServiceError):
    """There was a journal, and its files are gone."""
