"""Operations that have a function take no calls any more, and take them again."""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.model.deployment import Quarantine
from casemate.model.principal import Action
from casemate.operations.declaration import Declaration, Operation, on_function
from casemate.operations.fields import Name, text
from casemate.operations.given import Given

MAX_REASON = 500

Reason = Annotated[
    str,
    text(
        "The reason, for whoever asks later.",
        least=1,
        most=MAX_REASON,
        example="GHSA-xxxx is exploited",
    ),
    Given(flags="--reason", metavar="TEXT"),
]
_PATH = "/functions/{project}/{function}"
_SHOWN = Quarantine(
    project="shop",
    function="checkout",
    reason="MAL-2026-1234 in a dependency",
    by="user:ada",
    since=1764201600.0,
)


class QuarantineFunction(Operation[Quarantine], frozen=True, kw_only=True):
    """Take a function out of service for all callers and events.

    Callers get 503 without the reason. Stored events wait. Nothing of the function is deleted, and
    nothing can be; a deploy does not end the quarantine. If the function is already in quarantine,
    the first reason and author stay. With `kill`, its running calls are ended.
    """

    declared = Declaration(
        http=f"POST {_PATH}/quarantine",
        tag="functions",
        action=Action.FUNCTION_QUARANTINE,
        on=on_function,
        problems=(404, 409, 413, 415),
        example={"reason": _SHOWN.reason, "kill": True},
        answer=_SHOWN,
    )
    project: Name
    function: Name
    reason: Reason
    kill: Annotated[bool, msgspec.Meta(description="End running calls at once.")] = False


class ReleaseFunction(Operation[Quarantine], frozen=True, kw_only=True):
    """End the quarantine of a function. Stored events are delivered.

    The answer is the quarantine that has ended.
    """

    declared = Declaration(
        http=f"POST {_PATH}/release",
        tag="functions",
        action=Action.FUNCTION_RELEASE,
        on=on_function,
        problems=(404, 409, 413, 415),
        example={"reason": "version 9 has no such dependency"},
        answer=_SHOWN,
    )
    project: Name
    function: Name
    reason: Reason
