"""Where all requests to a server under test lead: to one handler, with one limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from casemate.model.http import Destination, Handler, HttpHead, HttpResponse, Route


def leading_to(
    handler: Handler, body_limit: Callable[[HttpHead], Any] = lambda _head: 100_000
) -> Route:
    """Return a route; `body_limit` returns a limit, or the answer to give at once."""

    def route(head: HttpHead) -> Destination | HttpResponse:
        allowed = body_limit(head)
        return allowed if isinstance(allowed, HttpResponse) else Destination(allowed, handler)

    return route
