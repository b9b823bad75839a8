"""What goes wrong with a journal."""

from __future__ import annotations

from casemate.model.errors import CasemateError, InvalidInputError, UnavailableError


class JournalInputError(InvalidInputError):
    """What was given is not what the journal takes: an entry, a proof, a checkpoint."""


class JournalDamagedError(CasemateError):
    """A file of the journal is missing or not what it was; `casemate journal verify` says which."""


class JournalWriteError(UnavailableError):
    """The journal cannot be written: nothing may go on that has to stand in it."""
