"""Authentication of the control API: everything but health needs an admin key.

It stands before the router, so that a caller without a key learns nothing, not even which paths
exist, and before the body is read.
"""

from __future__ import annotations

import logging
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from casemate.api.control import Control
from casemate.api.problems import problem_response, response_to
from casemate.model.deployment import Key, KeyRole

OPEN_PATHS = frozenset({"/api/v1/health"})

_log = logging.getLogger("casemate.api")


class RequireAdminKey:
    """ASGI middleware that lets only requests with a valid admin key through."""

    def __init__(self, app: ASGIApp, control: Control) -> None:
        """Guard `app` with the keys that `control` knows."""
        self._app = app
        self._control = control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with the key in `scope["casemate.key"]`, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no WebSocket here: a connection that is not accepted is refused
        send = _safe(send, without_body=scope["method"] == "HEAD")
        if scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        key = await self._check(Headers(scope=scope))
        if isinstance(key, Response):
            await key(scope, receive, send)
            return
        await self._app({**scope, "casemate.key": key}, receive, send)

    async def _check(self, headers: Headers) -> Key | Response:
        """Return the admin key, or the response that denies the request."""
        values = headers.getlist("authorization")
        if len(values) > 1:
            return _unauthenticated("There is more than one Authorization header.")
        try:
            key = await self._control.authenticate(values[0] if values else None)
        except Exception as error:  # noqa: BLE001 - whatever happens inside a check denies
            return response_to(error)
        if not isinstance(key, Key) or key.revoked_at is not None:
            return _unauthenticated(
                "The key is not valid or revoked."
                if values
                else "There is no Authorization header."
            )
        if key.role is not KeyRole.ADMIN:
            _log.warning("key %s with role %s refused by the control API", key.id, key.role)
            return problem_response(
                HTTPStatus.FORBIDDEN,
                f"The key has the role {key.role.value!r}, this needs {KeyRole.ADMIN.value!r}.",
                next_step="Use an admin key: `casemate login`.",
            )
        return key


def _unauthenticated(detail: str) -> Response:
    return problem_response(
        HTTPStatus.UNAUTHORIZED,
        detail,
        next_step="Send `Authorization: Bearer cm_...` with an admin key of this node.",
        headers={"WWW-Authenticate": 'Bearer realm="casemate"'},
    )


def _safe(send: Send, *, without_body: bool) -> Send:
    """Return `send` that forbids caches to keep a response and browsers to guess its type.

    `without_body` drops the body, as the answer to HEAD has none (RFC 9110, section 9.3.2).
    """

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [
                *message.get("headers", ()),
                (b"cache-control", b"no-store"),
                (b"x-content-type-options", b"nosniff"),
            ]
        elif without_body and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return sending
