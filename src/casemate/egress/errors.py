"""Why a connection does not come about."""

from __future__ import annotations

from casemate.model.errors import CasemateError


class DeniedError(CasemateError):
    """The destination is not allowed.

    `message` and `next_step` go to the function, `reason` to the records: addresses and other
    internals are in the latter only.
    """

    def __init__(self, reason: str, message: str, *, next_step: str) -> None:
        """Keep what each reader gets."""
        super().__init__(message, next_step=next_step)
        self.reason = reason


class RequestRefusedError(CasemateError):
    """The request is not one that the proxy takes. `status` is that of the answer."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        """Say which rule it broke, without repeating what was sent."""
        super().__init__(
            message, next_step="Send a well-formed HTTP/1.1 proxy request (RFC 9112, section 3.2)."
        )
        self.status = status


class UpstreamError(CasemateError):
    """The destination is allowed but cannot be reached. `status` is that of the answer."""

    retryable = True

    def __init__(self, message: str, *, status: int) -> None:
        """Keep a message without addresses."""
        super().__init__(message, next_step="Try again; see whether the host is up.")
        self.status = status


class ListenerError(CasemateError):
    """A descriptor is not the listening socket it should be, or a grant is not usable."""
