"""Errors of advisories."""

from __future__ import annotations

from casemate.model.errors import CasemateError, ConflictError, InvalidInputError, NotFoundError


class AdvisoriesError(CasemateError):
    """The advisories cannot be used."""


class RecordError(AdvisoriesError, InvalidInputError):
    """A record is not OSV, or breaks a bound."""


class VersionError(AdvisoriesError, InvalidInputError):
    """A version is not one of its ecosystem."""


class VectorError(AdvisoriesError, InvalidInputError):
    """A CVSS vector is not valid."""


class SourceError(AdvisoriesError, InvalidInputError):
    """What is to be imported cannot be, and nothing of it was."""


class CutShortError(SourceError):
    """An import ended before its source did, and nothing of it was taken."""


class OlderError(AdvisoriesError, ConflictError):
    """The advisories are older or less than those that are in force."""


class BusyError(AdvisoriesError, ConflictError):
    """Another import is running."""


class DatabaseMissingError(AdvisoriesError, NotFoundError):
    """No advisories were imported yet."""


class DatabaseUnreadableError(AdvisoriesError):
    """The database of advisories cannot be read, or is not what was written."""


class LockFileError(AdvisoriesError, InvalidInputError):
    """The file is no lock and no SBOM that can be read."""
