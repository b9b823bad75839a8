"""Places that answer nothing while the node takes no calls: at once, before a body is read."""

from __future__ import annotations

from collections.abc import Callable

from casemate.front.asking import Asking
from casemate.front.table import Place
from casemate.model.http import Destination, HttpHead, HttpResponse
from casemate.model.problem import problem_response

RETRY_SECONDS = 2
"""By then whoever spreads calls over nodes has met another one."""


class Resting:
    """A place, while there is no reason to take no calls."""

    def __init__(self, place: Place, refusal: Callable[[], str]) -> None:
        """Lead to `place` unless `refusal` gives a reason, which is not for callers."""
        self._place = place
        self._refusal = refusal

    def find(self, head: HttpHead, asking: Asking) -> Destination | HttpResponse:
        """See Place."""
        if self._refusal():
            return problem_response(
                503, "This node takes no calls at the moment.", retry_after=RETRY_SECONDS
            )
        return self._place.find(head, asking)
