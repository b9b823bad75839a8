"""Puts web hooks before the other paths of a server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from casemate.model.http import HttpHead, HttpRequest, HttpResponse
from casemate.triggers.hooks.declared import HOOKS_PREFIX
from casemate.triggers.hooks.endpoint import MAX_HOOK_BODY, Hooks


class HookRoutes:
    """Gives requests below `/hooks/` to the hooks and everything else to who is behind."""

    def __init__(
        self,
        hooks: Hooks,
        handle: Callable[[HttpRequest], Awaitable[HttpResponse]],
        body_limit: Callable[[HttpHead], int],
    ) -> None:
        """Stand before `handle` and `body_limit`."""
        self._hooks = hooks
        self._handle = handle
        self._body_limit = body_limit

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        if request.head.path.startswith(HOOKS_PREFIX):
            return await self._hooks.handle(request)
        return await self._handle(request)

    def body_limit(self, head: HttpHead) -> int:
        """Return the bytes that the body of a request may have."""
        return MAX_HOOK_BODY if head.path.startswith(HOOKS_PREFIX) else self._body_limit(head)
