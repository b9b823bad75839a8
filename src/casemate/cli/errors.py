"""Errors of the command line and the exit code that each kind of error ends it with."""

from __future__ import annotations

from enum import IntEnum

from casemate.model.errors import CasemateError, NotFoundError


class ExitCode(IntEnum):
    """What the process ends with. Scripts rely on these."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    NOT_FOUND = 3
    DENIED = 4
    UNREACHABLE = 5
    INTERRUPTED = 130


EXIT_CODE_MEANINGS = {
    ExitCode.OK: "It worked.",
    ExitCode.FAILURE: "It failed; the message says why.",
    ExitCode.USAGE: "The command was used wrongly.",
    ExitCode.NOT_FOUND: "There is no such function, version, invocation, error or key.",
    ExitCode.DENIED: "No key, a wrong key, or one that may not do this (401, 403).",
    ExitCode.UNREACHABLE: "The node does not answer.",
    ExitCode.INTERRUPTED: "Interrupted with Ctrl-C.",
}


class CommandError(CasemateError):
    """The command failed."""

    exit_code = ExitCode.FAILURE


class UsageError(CommandError):
    """The command was used wrongly."""

    exit_code = ExitCode.USAGE


class NotUnderstoodError(CommandError):
    """The node cannot make sense of what it was asked (400, 422)."""


class MissingError(CommandError):
    """There is no such thing on the node."""

    exit_code = ExitCode.NOT_FOUND


class DeniedError(CommandError):
    """The node refused the key."""

    exit_code = ExitCode.DENIED


class UnreachableError(CommandError):
    """The node does not answer."""

    exit_code = ExitCode.UNREACHABLE
    retryable = True


class CredentialsError(CommandError):
    """The stored credentials cannot be used."""


class DamagedCredentialsError(CredentialsError):
    """The stored credentials cannot be read: a login replaces them."""


class FunctionStartError(CommandError):
    """The node could not start the function, so nothing was deployed."""

    def __init__(
        self, message: str, *, type: str, failure: str, trace: str, next_step: str | None
    ) -> None:
        """Keep what the function did on the node: all of it is the owner's to see."""
        super().__init__(message, next_step=next_step)
        self.type = type
        self.failure = failure
        self.trace = trace


def exit_code_of(error: CasemateError) -> ExitCode:
    """Return the exit code for an error of any of our packages."""
    if isinstance(error, CommandError):
        return error.exit_code
    if isinstance(error, NotFoundError):
        return ExitCode.NOT_FOUND
    return ExitCode.FAILURE
