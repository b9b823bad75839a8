"""The ends of invocations that did not get as far as an answer."""

from __future__ import annotations

import traceback

from casemate.model.invocation import Outcome
from casemate.model.path import Admitted, Failure, Finished, RawInvocation, RefusedError, Request


def refused(
    raw: RawInvocation,
    request: Request | None,
    admitted: Admitted | None,
    refusal: RefusedError,
) -> Finished:
    """Return the end of an invocation that a stage refused."""
    return Finished(
        outcome=refusal.outcome,
        request=request,
        version=admitted.version if admitted else None,
        raw=raw,
        failure=refusal.failure or Failure(type="Refused", message=refusal.message),
        detail=refusal.message,
        status=refusal.status,
        retry_after=refusal.retry_after,
    )


def broken(raw: RawInvocation, request: Request | None, error: Exception) -> Finished:
    """Return the end of an invocation that a fault of ours ended."""
    trace = "".join(traceback.format_exception(error))
    return Finished(
        outcome=Outcome.INTERNAL_ERROR,
        request=request,
        raw=raw,
        failure=Failure(type=type(error).__qualname__, message=str(error), trace=trace),
    )
