"""Errors of policies: each names the file, the line, what is wrong and what to do."""

from __future__ import annotations

from casemate.model.errors import InvalidInputError


class PolicyError(InvalidInputError):
    """The policies are not valid."""

    def __init__(
        self, problem: str, *, file: str = "", line: int | None = None, next_step: str
    ) -> None:
        """Keep the place; lines count from 1."""
        self.problem = problem
        self.file = file
        self.line = line
        place = ":".join(str(part) for part in (file, line) if part)
        super().__init__(f"{place}: {problem}" if place else problem, next_step=next_step)


class PolicyTextError(InvalidInputError):
    """A principal, action, resource or role binding is not written as expected."""


class RequestNotDecidableError(InvalidInputError):
    """The principal, action or resource is none that can exist, so it is denied."""
