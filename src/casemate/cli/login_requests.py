"""Requests of somebody who has no token yet: their refusals are told in the node's own words."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from casemate.cli.client import NodeClient, path_of
from casemate.cli.errors import CommandError, DeniedError

T = TypeVar("T")


class Session(msgspec.Struct, frozen=True):
    """A session that the node opened."""

    text: str
    user: str
    expires_at: float

    def __repr__(self) -> str:
        """Leave out the text."""
        return f"Session(user={self.user!r})"


class _Problem(msgspec.Struct):
    detail: str = ""
    next_step: str | None = None


def post(client: NodeClient, parts: tuple[str, ...], body: Any, kind: type[T]) -> T:
    """Send a body (None: none) and return the answer; DeniedError if the node refuses it."""
    rest: dict[str, Any] = {}
    if body is not None:
        rest = {
            "content": msgspec.json.encode(body),
            "headers": {"content-type": "application/json"},
        }
    response = client.exchange("POST", path_of(*parts), **rest)
    if response.is_success:
        return client.decode(response, kind)
    if response.status_code not in (401, 403, 404, 429):
        raise client.failure(response)
    try:
        problem = msgspec.json.decode(response.content[:65536], type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        problem = _Problem()
    error = DeniedError if response.status_code in (401, 403) else CommandError
    raise error(
        problem.detail or f"{client.url} answered {response.status_code}.",
        next_step=problem.next_step or "Check the address and try again.",
    )


def require_answer(text: str, what: str) -> str:
    """Return what was typed without white space around it; DeniedError if it is nothing."""
    stripped = text.strip()
    if not stripped:
        raise DeniedError(f"There is no {what}.", next_step="Type it when asked, or pipe it in.")
    return stripped
