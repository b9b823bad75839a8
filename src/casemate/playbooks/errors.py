"""What can be wrong with a playbook."""

from __future__ import annotations

from casemate.model.errors import ConflictError, InvalidInputError

NEXT = "See docs/reference/playbooks.md, which says what a playbook may do."


class PlaybookError(InvalidInputError):
    """The file is no playbook."""

    def __init__(self, message: str, *, next_step: str = NEXT) -> None:
        """Say what is wrong, and what to do about it."""
        super().__init__(message, next_step=next_step)


class TakenError(ConflictError):
    """Somebody else does it, or does the same."""


class UnverifiedError(ConflictError):
    """What is kept of a playbook is not what the vault has signed: it does not act."""

    def __init__(self, name: str, problem: str) -> None:
        """Say why."""
        super().__init__(
            f"The playbook {name} does not act: {problem}.",
            next_step=f"See its versions: casemate playbook history {name}; then put it again.",
        )
