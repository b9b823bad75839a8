"""How long an event waits before it is tried again."""

from __future__ import annotations

from casemate.model.function import Delivery

_MAX_DOUBLINGS = 60
"""Beyond it every wait is the longest one; a larger power would not fit a float."""


def retry_pause(delivery: Delivery, attempt: int, draw: float) -> float:
    """Return the seconds to wait after attempt number `attempt` (from 1) failed.

    The bound doubles with each attempt up to `backoff_most`. `draw`, a number in [0, 1), picks a
    point in its upper half: events that failed together do not come back together, and none comes
    back at once.
    """
    doublings = min(max(attempt, 1) - 1, _MAX_DOUBLINGS)
    bound = min(delivery.backoff * 2.0**doublings, delivery.backoff_most)
    return bound / 2 + draw * bound / 2


def refusal_pause(refusals: int, retry_after: int | None) -> float:
    """Return the seconds to wait after the `refusals`-th refusal in a row (from 1).

    The node had no instance to give, and nothing ran: it is asked again soon, then less often,
    and never later than it said.
    """
    most = min(float(retry_after), 5.0) if retry_after else 5.0
    return float(min(0.02 * 2.0 ** min(max(refusals, 1) - 1, _MAX_DOUBLINGS), most))
