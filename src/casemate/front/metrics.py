"""The numbers of the node for Prometheus, at the path where it looks for them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from casemate.front.asking import Asking
from casemate.front.nowhere import Nowhere
from casemate.metrics.exposition import Format, wanted
from casemate.model.denial import DenialKind, denied_on
from casemate.model.facts import Actor, Fact
from casemate.model.http import Destination, HttpHead, HttpRequest, HttpResponse
from casemate.model.principal import ANONYMOUS, NODE, Action
from casemate.model.problem import problem_response
from casemate.policy.interface import Policy

METRICS_PATH = "/metrics"
_READING = ("GET", "HEAD")


class MetricsPage:
    """Answers those who may read the numbers of the whole node, and nobody else."""

    def __init__(
        self,
        policy: Policy,
        happened: Callable[[Fact], None],
        exposition: Callable[[Format], Awaitable[str]],
        nowhere: Nowhere,
    ) -> None:
        """`happened` is told of those who may not."""
        self._policy = policy
        self._happened = happened
        self._exposition = exposition
        self._nowhere = nowhere

    def find(self, head: HttpHead, asking: Asking) -> Destination | HttpResponse:
        """Answer before a body is read, unless it is the numbers."""
        if head.method not in _READING:
            return self._nowhere.only(head, asking, _READING)
        who = asking.principal()
        if who is not None and self._policy.allows(who, Action.METRICS_READ, NODE):
            return Destination(0, self._answer)
        self._happened(
            denied_on(
                NODE,
                at=time.time(),
                kind=DenialKind.AUTHENTICATION if who is None else DenialKind.AUTHORIZATION,
                by=Actor((who or ANONYMOUS).text, head.peer),
                action=Action.METRICS_READ.value,
                reason="no valid token" if who is None else "no policy allows it",
            )
        )
        if who is None:
            return problem_response(401, "This needs a valid token.")
        return problem_response(403, "The token does not allow this.")

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        accept = request.head.header(b"accept") or b""
        form = wanted(accept.decode("latin-1"))
        headers = (
            (b"content-type", form.value.encode()),
            (b"cache-control", b"no-store"),
            (b"vary", b"accept"),
        )
        return HttpResponse(200, headers, (await self._exposition(form)).encode())
