"""The ends of invocations that did not get as far as an answer, or not to a good one."""

from __future__ import annotations

import traceback
from typing import Final

from casemate.invocation.python_errors import meaning_of, mebibytes
from casemate.model.errors import CasemateError, OutOfServiceError
from casemate.model.function import FunctionSpec
from casemate.model.invocation import Outcome
from casemate.model.path import (
    Admitted,
    Failure,
    Finished,
    Placed,
    RawInvocation,
    RefusedError,
    Request,
    Used,
)
from casemate.model.refusals import refusal_type
from casemate.sandbox.frames import Reply

PASSED_SECONDS: Final = 5
MENDED_SECONDS: Final = 30
"""When to come again after a failure that passes, and after one that somebody has to mend."""
_UNAVAILABLE: Final = "UnavailableError"
"""What the runner raises in a function then, in `runner.channel`."""


def failure_of(reply: Reply, spec: FunctionSpec, timeout: float) -> Failure | None:
    """Return the owner's view of how a handler failed, with the limit it met and what to do.

    `timeout` is what the invocation had, in seconds. None if it did not fail.
    """
    if reply.outcome is Outcome.OK:
        return None
    message = reply.message
    if reply.outcome is Outcome.TIMEOUT:
        message = f"{message} of {timeout:g} s (limits.timeout in casemate.toml)"
    elif reply.outcome is Outcome.OUT_OF_MEMORY:
        message = f"{message} of {mebibytes(spec.limits.memory)} (limits.memory in casemate.toml)"
    elif reply.outcome is Outcome.RESPONSE_TOO_LARGE:
        message = f"{message} (limits.response in casemate.toml)"
    elif meaning := meaning_of(reply, spec):
        message = f"{message} ({meaning})"
    return Failure(type=reply.type, message=message, trace=reply.trace)


def again_after(reply: Reply, told: tuple[str, CasemateError] | None) -> int | None:
    """Return after how many seconds a call may go well that failed for what we work with.

    That is so if its handler let the refusal of a use pass that it was `told`: where that came
    from is ours to know, whatever the function says. None for all others.
    """
    if told is None or reply.outcome is not Outcome.HANDLER_ERROR:
        return None
    text, error = told
    unavailable = reply.type.rpartition(".")[2] == _UNAVAILABLE
    return _again(error) if unavailable and reply.message == text else None


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
        failure=refusal.failure
        or Failure(type=refusal_type(refusal.outcome, refusal.status), message=refusal.message),
        principal=refusal.principal or (admitted.principal if admitted else None),
        detail=refusal.message,
        status=refusal.status,
        retry_after=refusal.retry_after,
    )


def broken_off(placed: Placed, ran: float, used: Used | None) -> Finished:
    """Return the end of an invocation that whoever called it did not wait for."""
    admitted = placed.admitted
    return Finished(
        outcome=Outcome.CRASHED,
        request=admitted.request,
        version=admitted.version,
        failure=Failure(type="BrokenOff", message="nobody waited for its answer any more"),
        queued=placed.queued,
        ran=ran,
        cold=placed.cold,
        principal=admitted.principal,
        used=used,
    )


def broken(
    raw: RawInvocation, request: Request | None, error: Exception, *, ran: bool = False
) -> Finished:
    """Return the end of an invocation that a fault of ours, or of what we work with, ended.

    What passes, or is mended without a change of what was asked, is told as such, unless it `ran`.
    """
    trace = "".join(traceback.format_exception(error))
    again = None if ran else _again(error)
    return Finished(
        outcome=Outcome.INTERNAL_ERROR if again is None else Outcome.UNAVAILABLE,
        request=request,
        raw=raw,
        failure=Failure(type=type(error).__qualname__, message=str(error), trace=trace),
        retry_after=again,
    )


def _again(error: Exception) -> int | None:
    """Return after how many seconds it may go well, None if that is not known."""
    if isinstance(error, OutOfServiceError):
        return MENDED_SECONDS
    return PASSED_SECONDS if isinstance(error, CasemateError) and error.retryable else None
