"""Authentication of the control API: everything but health and logging in needs a credential.

It stands before the router, so that a caller without one learns nothing, not even which paths
exist, and before the body is read. What the caller may do is decided before each operation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from casemate.api.problems import problem_response, response_to
from casemate.model.denial import Denial, DenialKind, denied_on
from casemate.model.facts import NOT_BY_NETWORK, Actor, Fact
from casemate.model.principal import ANONYMOUS, NODE, Checked, Principal
from casemate.model.problem import CHALLENGE

CHECKED = "casemate.checked"
"""Where in the scope it is told what a check of the credential has found already."""


class Authenticate(Protocol):
    """Tells whose credential an Authorization header's value holds, None if it holds none."""

    def __call__(
        self, authorization: str | None, checked: Checked | None = None
    ) -> Principal | None:
        """`checked` is what was found a moment ago; it is used if nothing has changed since."""
        ...


class RequireCredential:
    """ASGI middleware that lets only requests with a valid credential through."""

    def __init__(
        self,
        app: ASGIApp,
        authenticate: Authenticate,
        happened: Callable[[Fact], None],
        open_paths: frozenset[tuple[str, str]],
    ) -> None:
        """`open_paths` are the methods and paths that need none."""
        self._app = app
        self._authenticate = authenticate
        self._happened = happened
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with who asks in `scope["casemate.principal"]`, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no WebSocket here: a connection that is not accepted is refused
        send = _safe(send, without_body=scope["method"] == "HEAD")
        # RFC 9110, 9.3.2: HEAD is GET without the content.
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        if (method, scope["path"]) in self._open_paths:
            await self._app({**scope, "casemate.principal": ANONYMOUS}, receive, send)
            return
        asking = self._check(scope)
        if isinstance(asking, Response):
            await asking(scope, receive, send)
            return
        await self._app({**scope, "casemate.principal": asking}, receive, send)

    def _check(self, scope: Scope) -> Principal | Response:
        """Return who asks, or the response that denies the request."""
        values = Headers(scope=scope).getlist("authorization")
        if len(values) > 1:
            return self._denied(scope, "There is more than one Authorization header.")
        try:
            asking = self._authenticate(values[0] if values else None, scope.get(CHECKED))
        except Exception as error:  # noqa: BLE001 - whatever happens inside a check denies
            return response_to(error)
        if not isinstance(asking, Principal):
            return self._denied(
                scope,
                "The token is not valid, expired or revoked."
                if values
                else "There is no Authorization header.",
            )
        return asking

    def _denied(self, scope: Scope, detail: str) -> Response:
        remote, *_ = scope.get("client") or (NOT_BY_NETWORK,)
        by = Actor(ANONYMOUS.text, remote)
        self._happened(not_taken(by, scope["method"], detail, scope["path"]))
        return _unauthenticated(detail)


def not_taken(by: Actor, method: str, reason: str, path: str) -> Denial:
    """Return what is recorded of a request whose credential is not, or no longer, taken."""
    return denied_on(
        NODE,
        at=time.time(),
        kind=DenialKind.AUTHENTICATION,
        by=by,
        action=f"{method} api",
        reason=reason,
        path=path,
    )


def _unauthenticated(detail: str) -> Response:
    return problem_response(
        HTTPStatus.UNAUTHORIZED,
        detail,
        next_step="Send `Authorization: Bearer cm_...`; `casemate login` gets one.",
        headers={"WWW-Authenticate": CHALLENGE},
    )


_SAFE = {b"cache-control": b"no-store", b"x-content-type-options": b"nosniff"}


def _safe(send: Send, *, without_body: bool) -> Send:
    """Return `send` that forbids caches to keep a response and browsers to guess its type.

    `without_body` drops the body, as the answer to HEAD has none (RFC 9110, section 9.3.2).
    """

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            others = [one for one in message.get("headers", ()) if one[0] not in _SAFE]
            message["headers"] = [*others, *_SAFE.items()]
        elif without_body and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return sending
