"""What a running function is told when a use does not succeed."""

from __future__ import annotations

from casemate.data.errors import LimitError
from casemate.model.errors import (
    CasemateError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
)


class NotGrantedError(CasemateError):
    """The function may not do this."""


class TooMuchError(CasemateError):
    """A limit is reached."""


_CODES: tuple[tuple[type[CasemateError], str], ...] = (
    (NotGrantedError, "denied"),
    (LimitError, "limit"),
    (TooMuchError, "limit"),
    (NotFoundError, "not-found"),
    (ConflictError, "conflict"),
    (InvalidInputError, "invalid"),
    (UnavailableError, "unavailable"),
)


def code_of(error: CasemateError) -> str | None:
    """Return the code by which the runner knows an error; None for one that is a fault of ours."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), None)
