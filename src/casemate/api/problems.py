"""Errors of the control API as RFC 9457 problem details, each with an error id.

Callers of this API own the node, so the text of our own errors is for them. Anything else that
was raised is a fault of ours: the caller gets its id, the node's own log gets the rest.
"""

from __future__ import annotations

import errno
import logging
import secrets
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from casemate.admission.grants import GrantDifference, WideningError
from casemate.api.control import StartFailedError
from casemate.data.errors import LimitError, TooLargeError
from casemate.model import problem
from casemate.model.errors import (
    CasemateError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    OutOfServiceError,
    QuotaError,
    UnavailableError,
)
from casemate.operations.errors import MalformedError

RETRY_AFTER_SECONDS = 1
MENDED_AFTER_SECONDS = 30
"""The same where somebody has to mend something first."""

_OF_THE_DISK = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS))
"""What the system says of a disk, wherever that is met: no fault of ours, and it may pass."""
_RETRYABLE = (429, 503)
_STATUSES: tuple[tuple[type[CasemateError], HTTPStatus], ...] = (
    (OutOfServiceError, HTTPStatus.SERVICE_UNAVAILABLE),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (QuotaError, HTTPStatus.TOO_MANY_REQUESTS),
    (TooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (LimitError, HTTPStatus.TOO_MANY_REQUESTS),
    (ConflictError, HTTPStatus.CONFLICT),
    (InvalidInputError, HTTPStatus.UNPROCESSABLE_ENTITY),
)

_log = logging.getLogger("casemate.api")


class RequestError(InvalidInputError):
    """The request is not one that this API accepts."""

    def __init__(self, status: HTTPStatus, message: str, *, next_step: str | None = None) -> None:
        """Keep the status that tells the client what is wrong with its request."""
        super().__init__(message, next_step=next_step)
        self.status = status


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """What a function did when it was started: for its owner, hence complete."""

    type: str
    message: str
    trace: str


class Problem(problem.Problem, frozen=True, kw_only=True, omit_defaults=True):
    """A problem detail (RFC 9457, section 3.1) with our extension members."""

    detail: str
    next_step: str | None = None
    failure: Failure | None = None
    grants: GrantDifference | None = None
    """What a deploy would have granted beyond the live version."""
    function: str | None = None
    """The one of several that is in the way, as PROJECT/FUNCTION."""


def new_error_id() -> str:
    """Return an id that names one error in answers and in the node's log."""
    return f"err_{secrets.token_hex(12)}"


def problem_response(
    status: HTTPStatus,
    detail: str,
    *,
    next_step: str | None = None,
    failure: Failure | None = None,
    grants: GrantDifference | None = None,
    function: str | None = None,
    headers: dict[str, str] | None = None,
    error_id: str | None = None,
) -> Response:
    """Return a problem detail as a response. Statuses of 500 and over are logged by the caller."""
    kind = problem.kind_of(status.value)
    described = Problem(
        type=problem.TYPE_PREFIX + kind.word,
        title=kind.title,
        status=status.value,
        detail=detail,
        error_id=error_id or new_error_id(),
        next_step=next_step,
        failure=failure,
        grants=grants,
        function=function,
    )
    return Response(
        msgspec.json.encode(described), status.value, headers=headers, media_type=problem.MEDIA_TYPE
    )


def status_of(error: CasemateError) -> HTTPStatus:
    """Return the status that one of our errors is answered with."""
    if isinstance(error, RequestError):
        return error.status
    if isinstance(error, MalformedError):
        return HTTPStatus.BAD_REQUEST
    if error.retryable:
        return HTTPStatus.SERVICE_UNAVAILABLE
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR


def _retry_after(error: CasemateError) -> int:
    mended = isinstance(error, OutOfServiceError) and not error.retryable
    return MENDED_AFTER_SECONDS if mended else RETRY_AFTER_SECONDS


def response_to(error: Exception) -> Response:
    """Return the response to anything raised while a request was served."""
    error_id = new_error_id()
    if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
        failed = UnavailableError(
            f"The node's disk is full, or fails: {error.strerror}.",
            next_step="Make room on it, or look at the kernel's log; then the call works.",
        )
        failed.__cause__ = error
        error = failed
    if not isinstance(error, CasemateError):
        _log.error("error %s: unexpected %s", error_id, type(error).__name__, exc_info=error)
        return problem_response(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "The node could not do this because of a fault of its own.",
            next_step=f"Look for {error_id} in the node's log.",
            error_id=error_id,
        )
    status = status_of(error)
    if status is HTTPStatus.SERVICE_UNAVAILABLE and error.retryable:
        # No fault of ours: only what caused it, such as a full disk, is worth a trace.
        _log.warning("error %s: %s", error_id, error, exc_info=error.__cause__)
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # What says what to do was foreseen: where it was raised would bury it, on each request.
        trace = error.__cause__ if error.next_step else error
        _log.error("error %s: %s", error_id, error, exc_info=trace)
    failure = None
    if isinstance(error, StartFailedError):
        failure = Failure(type=error.type, message=error.failure_message, trace=error.trace)
    return problem_response(
        status,
        error.message,
        next_step=error.next_step,
        failure=failure,
        grants=error.difference if isinstance(error, WideningError) else None,
        function=error.about or None,
        headers={"Retry-After": str(_retry_after(error))} if status.value in _RETRYABLE else None,
        error_id=error_id,
    )
