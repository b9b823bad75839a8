"""What can be wrong with a playbook."""

from __future__ import annotations

from casemate.model.errors import ConflictError, InvalidInputError


class PlaybookError(InvalidInputError):
    """The file is no playbook."""


class TakenError(ConflictError):
    """Somebody else does it, or does the same."""
