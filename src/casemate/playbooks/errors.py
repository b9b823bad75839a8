"""What can be wrong with a playbook."""

from __future__ import annotations

from casemate.model.errors import ConflictError, InvalidInputError

NEXT = "docs/reference/playbooks.md says what a playbook may do"


class PlaybookError(InvalidInputError):
    """The file is no playbook."""

    def __init__(self, message: str, *, next_step: str = NEXT) -> None:
        """Say what is wrong, and what to do about it."""
        super().__init__(message, next_step=next_step)


class TakenError(ConflictError):
    """Somebody else does it, or does the same."""
