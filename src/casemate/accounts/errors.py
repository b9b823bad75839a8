"""What the accounts raise besides the errors of the model."""

from __future__ import annotations

from casemate.model.errors import (
    CasemateError,
    ConflictError,
    InvalidInputError,
    UnavailableError,
)


class LoginRefusedError(CasemateError):
    """The name, password or code is not right."""


class TooManyAttemptsError(UnavailableError):
    """Too many attempts failed. `retry_after` is the number of seconds to wait."""

    def __init__(self, message: str, *, retry_after: float, next_step: str | None = None) -> None:
        """Keep how long to wait."""
        super().__init__(message, next_step=next_step)
        self.retry_after = retry_after


class EscalationError(CasemateError):
    """A principal would give more than it has."""


class LastOwnerError(ConflictError):
    """The change would leave the node without an owner who can get in."""


class PasswordRefusedError(InvalidInputError):
    """The password is too easily guessed."""


class OidcSettingsError(InvalidInputError):
    """The settings of the OpenID provider are not valid."""


class OidcProviderError(UnavailableError):
    """The OpenID provider does not answer as it should."""


class IdTokenError(LoginRefusedError):
    """The ID token is not valid."""
