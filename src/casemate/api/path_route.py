"""Routes of the API, which take a path apart where Starlette compiles an expression for each.

A node has 170 of them. To compile them takes a tenth of the start of a gateway.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route, request_response
from starlette.types import ASGIApp, Receive, Scope, Send

Endpoint = Callable[[Request], Awaitable[Response]]


class PathRoute(Route):
    """The route of one path, of whose parts those in braces may be anything but empty."""

    def __init__(self, path: str, endpoint: Endpoint, methods: Collection[str]) -> None:
        """Lead requests with these methods, HEAD as GET, to `endpoint`."""
        # Not Starlette's own, which compiles; what it sets of what is used is set here.
        self.path = self.name = path
        self.endpoint = endpoint
        self.include_in_schema = True
        self._allowed = frozenset((*methods, "HEAD") if "GET" in methods else methods)
        self.methods = set(self._allowed)
        parts = path.split("/")
        self._literal = [(at, one) for at, one in enumerate(parts) if not _named(one)]
        self._named = [(at, one[1:-1]) for at, one in enumerate(parts) if _named(one)]
        self._slashes = path.count("/")
        self._served: ASGIApp | None = None

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether a request is for this path, and whether for one of the methods."""
        path: str = scope["path"]
        if scope["type"] != "http" or path.count("/") != self._slashes:
            return Match.NONE, {}
        given = path.split("/")
        if any(given[at] != one for at, one in self._literal):
            return Match.NONE, {}
        values = {name: given[at] for at, name in self._named}
        if not all(values.values()):
            return Match.NONE, {}
        found = {"endpoint": self.endpoint, "path_params": values}
        return (Match.FULL if scope["method"] in self._allowed else Match.PARTIAL), found

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request that matches; refuse one with another method."""
        if scope["method"] not in self._allowed:
            raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED)
        if self._served is None:
            self._served = request_response(self.endpoint)
        await self._served(scope, receive, send)


def _named(part: str) -> bool:
    return part.startswith("{")
