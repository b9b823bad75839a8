"""Why a function could not be started, as its callers and its owner are told."""

from __future__ import annotations

from casemate.model.errors import NotFoundError
from casemate.model.invocation import Outcome
from casemate.model.path import Failure, RefusedError
from casemate.sandbox.frames import Reply
from casemate.sandbox.opening import ImportFailedError

_CANNOT_START = "The function cannot be started."


def unavailable(error: Exception) -> RefusedError:
    """Return the refusal for what may pass."""
    failure = Failure(type=type(error).__qualname__, message=str(error))
    return RefusedError(Outcome.UNAVAILABLE, _CANNOT_START, retry_after=1, failure=failure)


def not_imported(error: ImportFailedError | NotFoundError) -> RefusedError:
    """Return the refusal for what does not pass, so that nobody is told to try again.

    The module cannot be imported, or its bundle is gone or damaged.
    """
    if isinstance(error, NotFoundError):
        failure = Failure(type="BundleDamaged", message=str(error))
    else:
        failure = Failure(
            type=error.error.type,
            message=error.error.message,
            trace=error.error.trace + error.output,
        )
    return RefusedError(Outcome.INIT_ERROR, _CANNOT_START, failure=failure)


def start_failed(reply: Reply | None, seconds: float, *, imports_late: bool) -> RefusedError:
    """Return the refusal for an instance that ended before it was ready.

    `seconds` it had for that; `imports_late`: the module is imported in the instance.
    """
    if reply is None:
        return RefusedError(Outcome.UNAVAILABLE, _CANNOT_START, retry_after=1)
    failure = Failure(type=reply.type, message=reply.message, trace=reply.trace)
    late = reply.outcome is Outcome.TIMEOUT
    if late:
        message = f"the instance was not ready after {seconds:g} s"
        failure = Failure(type="StartTimeout", message=message)
    if reply.outcome is Outcome.INIT_ERROR or (late and imports_late):
        return RefusedError(Outcome.INIT_ERROR, _CANNOT_START, failure=failure)
    return RefusedError(Outcome.UNAVAILABLE, _CANNOT_START, retry_after=1, failure=failure)
