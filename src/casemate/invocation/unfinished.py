"""The ends of invocations that did not get as far as an answer, or not to a good one."""

from __future__ import annotations

import traceback
from typing import Final

from casemate.model.errors import CasemateError, OutOfServiceError
from casemate.model.function import Limits
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
_NO_NAMES: Final = "Temporary failure in name resolution"
"""What the C library says where there is no network: without a grant, or past the proxy."""
_NO_SPACE: Final = "[Errno 28]"
_TOO_MANY_FILES: Final = "[Errno 24]"
_READ_ONLY: Final = "[Errno 30]"
_NO_THREAD: Final = "can't start new thread"
_NO_MODULE: Final = "No module named "
_NO_JSON: Final = "is not JSON serializable"
_MADE_JSON: Final = "return text, numbers, true, false, None, lists and dicts; str(value) makes a text"


def failure_of(reply: Reply, limits: Limits, timeout: float) -> Failure | None:
    """Return the owner's view of how a handler failed, with the limit it met and what to do.

    `timeout` is what the invocation had, in seconds. None if it did not fail.
    """
    if reply.outcome is Outcome.OK:
        return None
    message = reply.message
    if reply.outcome is Outcome.TIMEOUT:
        message = f"{message} of {timeout:g} s (limits.timeout in casemate.toml)"
    elif reply.outcome is Outcome.OUT_OF_MEMORY:
        message = f"{message} of {_mebibytes(limits.memory)} (limits.memory in casemate.toml)"
    elif reply.outcome is Outcome.RESPONSE_TOO_LARGE:
        message = f"{message} (limits.response in casemate.toml)"
    elif meaning := _meaning(reply, limits):
        message = f"{message} ({meaning})"
    return Failure(type=reply.type, message=message, trace=reply.trace)


def _meaning(reply: Reply, limits: Limits) -> str:
    """Return what an error of Python means in a sandbox and what to do; empty for most.

    Python tells these as on any other machine, where they have other causes.
    """
    kind, message = reply.type.rpartition(".")[2], reply.message
    if reply.outcome is Outcome.BAD_RESULT:
        return _MADE_JSON if message.endswith(_NO_JSON) else ""
    if kind == "PermissionError" and "subprocess.py" in reply.trace:
        return "a function starts no programs: use a Python package for it"
    if _NO_NAMES in message:
        return "no host is reached that `egress` in casemate.toml does not grant"
    if kind == "OSError" and message.startswith(_NO_SPACE):
        return f"/tmp holds {_mebibytes(limits.tmp)}: limits.tmp in casemate.toml"
    if kind == "OSError" and message.startswith(_TOO_MANY_FILES):
        return f"a process has {limits.open_files} open files: limits.open_files in casemate.toml"
    if message == _NO_THREAD or (kind == "BlockingIOError" and "fork" in reply.trace):
        limit = f"{limits.processes} processes and threads: limits.processes in casemate.toml"
        return f"an instance has {limit}"
    if kind == "OSError" and message.startswith(_READ_ONLY):
        return "only /tmp can be written: what should stay goes into a bucket or a table"
    if kind == "ModuleNotFoundError" and message.startswith(_NO_MODULE):
        return "its package goes into `requirements` of the function, a file of yours into `source`"
    return ""


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):g} MB"


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
