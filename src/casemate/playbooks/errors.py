"""What can be wrong with a playbook."""

from __future__ import annotations

from casemate.model.errors import InvalidInputError


class PlaybookError(InvalidInputError):
    """The file is no playbook."""
