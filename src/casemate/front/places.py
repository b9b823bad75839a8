"""The control API and the web hooks, as places that requests lead to."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus

from casemate.api import CHECKED
from casemate.front.asking import Asking
from casemate.model.http import (
    UNKNOWN_LIMIT,
    Destination,
    Handler,
    HttpHead,
    HttpRequest,
    HttpResponse,
)
from casemate.triggers.hooks import MAX_HOOK_BODY
from casemate.triggers.http_server import AsgiHandler

API_PREFIX = "/api/"
_API_LIMIT = 1024 * 1024
_API_LIMITS = {
    "/api/v1/bundles/": 512 * 1024 * 1024,
    "/api/v1/buckets/": 64 * 1024 * 1024,
}
"""Bytes that a body may have where it may have more than others of the control API."""

_TURNED_AWAY = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)
"""Statuses of who gets nothing done; 404, 409 and the like are what others work with."""


class ControlApi:
    """What is below API_PREFIX. Who may do what there is decided by the API itself."""

    def __init__(self, api: AsgiHandler) -> None:
        """Hand requests to `api`, with what a check of their credential has found."""
        self._api = api

    def find(self, head: HttpHead, asking: Asking) -> Destination:
        """Let callers without a key send little."""
        if asking.principal() is None:
            limit = UNKNOWN_LIMIT
        else:
            found = (b for p, b in _API_LIMITS.items() if head.path.startswith(p))
            limit = next(found, _API_LIMIT)
        return Destination(limit, partial(self._answer, asking))

    async def _answer(self, asking: Asking, request: HttpRequest) -> HttpResponse:
        response = await self._api(request, {CHECKED: asking.checked})
        response.paced = response.status in _TURNED_AWAY
        return response


class WebHooks:
    """What is below HOOKS_PREFIX."""

    def __init__(self, answer: Handler) -> None:
        """Hand requests to `answer`."""
        self._destination = Destination(MAX_HOOK_BODY, answer)

    def find(self, head: HttpHead, asking: Asking) -> Destination:
        """Let all of them send as much, so that none is told from another by its limit."""
        return self._destination
