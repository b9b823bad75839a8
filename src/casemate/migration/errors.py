"""What a move raises of its own."""

from __future__ import annotations

from casemate.model.errors import CasemateError, ConflictError


class MigrationError(CasemateError):
    """The state cannot be moved."""


class UnstorableError(MigrationError):
    """A value is there that the other engine does not take."""


class NotTheSameError(MigrationError):
    """What was moved is not what was read."""


class TakenError(ConflictError):
    """The target has something already."""


class InUseError(ConflictError):
    """A node uses what is to be moved."""
