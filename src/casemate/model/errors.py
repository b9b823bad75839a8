"""The one root of all our errors, and the kinds that more than one package raises.

An error's docstring is its default message. `retryable` tells a caller whether the same call can
succeed later without a change; it is what becomes a 503 or 429 instead of a 4xx.
"""

from __future__ import annotations


class CasemateError(Exception):
    """Something went wrong in Casemate."""

    retryable = False
    about = ""
    """The function that it is about, as PROJECT/FUNCTION, where several were asked for."""

    def __init__(self, message: str | None = None, *, next_step: str | None = None) -> None:
        """Keep `message` (default: the docstring) and `next_step`, what the reader can do."""
        self.message = message or (type(self).__doc__ or "").strip()
        self.next_step = next_step
        super().__init__(self.message)

    def __str__(self) -> str:
        """Return the message, followed by the next step where there is one."""
        return f"{self.message} Next: {self.next_step}" if self.next_step else self.message


class InvalidInputError(CasemateError):
    """The input is not valid."""


class NotFoundError(CasemateError):
    """There is no such thing."""


class NoFunctionError(NotFoundError):
    """There is no such function."""

    def __init__(self, project: str, function: str) -> None:
        """Keep its name: who may see functions of nearly that name is told of one."""
        super().__init__(
            f"There is no function {project}/{function}.",
            next_step="`casemate ls` lists the functions that you may see.",
        )
        self.project = project
        self.function = function


class NoNamedError(NotFoundError):
    """There is nothing of a kind with this name."""

    def __init__(
        self, kind: str, name: str, message: str, *, next_step: str, project: str = ""
    ) -> None:
        """Keep its name: who may list such things is told of one of nearly that name."""
        super().__init__(message, next_step=next_step)
        self.kind = kind
        self.name = name
        self.project = project
        """In which one is looked for; empty for things of the node."""


class ConflictError(CasemateError):
    """The change conflicts with stored data."""


class HeldByAnotherError(ConflictError):
    """Another project has it."""

    def __init__(
        self,
        message: str,
        *,
        next_step: str,
        strangers: ConflictError,
        project: str,
        function: str = "",
    ) -> None:
        """Keep whose it is, and what is told who may not see that."""
        super().__init__(message, next_step=next_step)
        self._strangers = strangers
        self.project = project
        self.function = function
        """Empty where it is of the project alone."""

    def told_strangers(self) -> ConflictError:
        """Return what is told who may not see whose it is."""
        self._strangers.about = self.about
        return self._strangers


class QuotaError(CasemateError):
    """Whoever asks has as much of it as one may have."""


class UnavailableError(CasemateError):
    """The service cannot do this at the moment."""

    retryable = True


class OutOfServiceError(CasemateError):
    """What the node works with is not as it must be: an operator has to mend that first.

    Nothing is wrong with what was asked, so the caller is told to come again, as of what passes by
    itself (503). The node does not try again on its own: `retryable` is false.
    """


class ProtectionMissingError(OutOfServiceError):
    """A protection that this operation requires cannot be put in place on this host."""
