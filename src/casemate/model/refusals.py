"""What refusals are called where the errors of a node are listed and counted."""

from __future__ import annotations

from typing import Final

from casemate.model.invocation import Outcome

CONTRACT_BROKEN: Final = "ContractBroken"
HOSTILE_EVENT: Final = "HostileEvent"
_BY_STATUS: Final = {
    401: "NotAuthenticated",
    403: "NotAllowed",
    405: "MethodNotAllowed",
    409: "Conflict",
    413: "TooLarge",
    415: "NotJson",
    507: "NoRoomToKeep",
}
_BY_OUTCOME: Final = {
    Outcome.INVALID: "InvalidRequest",
    Outcome.DENIED: "NotAuthenticated",
    Outcome.NOT_FOUND: "NotFound",
    Outcome.THROTTLED: "Throttled",
    Outcome.UNAVAILABLE: "Unavailable",
}
_OTHERWISE: Final = "Refused"
REFUSED: Final = frozenset(
    (CONTRACT_BROKEN, HOSTILE_EVENT, _OTHERWISE, *_BY_STATUS.values(), *_BY_OUTCOME.values())
)
"""All that there are."""


def refusal_type(outcome: Outcome, status: int | None) -> str:
    """Return the type that the record of a refusal has: of one type is what has one remedy.

    A status of its own says more than the outcome does.
    """
    return _BY_STATUS.get(status or 0) or _BY_OUTCOME.get(outcome, _OTHERWISE)
