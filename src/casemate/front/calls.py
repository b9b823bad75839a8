"""Calls of functions over HTTP, by name or by a route: what both have in common.

Where calls wait for an instance already, one more is answered from its head if there is no room
for it, before its body is read.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import unquote

from casemate.admission import Catalogue
from casemate.delivery.wish import IDEMPOTENCY_KEY, NOTHING, PREFER, Wish, read_wish
from casemate.dispatch import Dispatcher
from casemate.front.asking import Asking
from casemate.front.nowhere import UNKNOWN_LIMIT
from casemate.front.origin import confined
from casemate.invocation import LoadRefusals
from casemate.invocation.cloudevents import STRUCTURED, answered, media_type_of
from casemate.invocation.rendering import function_source
from casemate.invocation.unfinished import refused
from casemate.model.deployment import Version
from casemate.model.http import HttpHead, HttpRequest, HttpResponse
from casemate.model.path import RawInvocation, RefusedError
from casemate.model.route import host_of
from casemate.seal import Seal

Take = Callable[[RawInvocation, Wish], Awaitable[HttpResponse]]
_KEPT_OR_REPLAYED = frozenset((PREFER, IDEMPOTENCY_KEY))
"""Headers of calls that may be answered without an instance."""


class Calls:
    """Takes calls to functions, whatever path they came by."""

    def __init__(
        self,
        catalogue: Catalogue,
        dispatcher: Dispatcher,
        refusals: LoadRefusals,
        seal: Seal,
        take: Take,
    ) -> None:
        """Hand calls to `take`, unless `dispatcher` has no room."""
        self._catalogue = catalogue
        self._dispatcher = dispatcher
        self._refusals = refusals
        self._seal = seal
        self._take = take

    def limit(self, version: Version, asking: Asking) -> int:
        """Return the bytes a body may have. Callers without a key are given little to send."""
        closure = self._catalogue.closure(version.project, version.function, version)
        if not closure.public and asking.principal() is None:
            return UNKNOWN_LIMIT
        return version.spec.limits.request

    def full(
        self, version: Version, head: HttpHead, asking: Asking, trigger: str
    ) -> HttpResponse | None:
        """Return the answer to a call that waits and for which there is no room, None otherwise."""
        if not self._dispatcher.crowded or any(n in _KEPT_OR_REPLAYED for n, _ in head.headers):
            return None
        return self._refusals.foreseen(
            self._dispatcher,
            version,
            self._catalogue.closure(version.project, version.function, version),
            partial(_unread, version, head, trigger),
            asking.caller,
        )

    async def call(
        self, raw: RawInvocation, request: HttpRequest, asking: Asking, *, later: bool
    ) -> HttpResponse:
        """Have a function called as the request's headers wish, and answer what came of it."""
        try:
            wish = read_wish(request.head, later=later)
        except RefusedError as refusal:
            if self._may_know(raw, asking):
                return self._seal.close(refused(raw, None, None, refusal))
            wish = NOTHING  # refused for what it lacks, which tells nothing of the function
        response = self._confined(await self._take(raw, wish), raw, request)
        if not wish.later and _accepts_cloud_event(request.head):
            return answered(response, function_source(raw.project, raw.function))
        return response

    def _confined(
        self, response: HttpResponse, raw: RawInvocation, request: HttpRequest
    ) -> HttpResponse:
        """Return an answer that sets nothing for other projects on the same host."""
        head = request.head
        if self._catalogue.owns_origin(raw.project, host_of(head.header(b"host"))):
            return response
        segments = head.path.split("/", 3)
        depth = 3 if raw.trigger == "invoke" else 2
        return confined(response, "/".join(segments[:depth]).encode("latin-1"))

    def _may_know(self, raw: RawInvocation, asking: Asking) -> bool:
        """Tell whether a caller showed a valid token, or needs none: only then is it advised."""
        version = self._catalogue.find(raw.project, raw.function, raw.qualifier)
        public = (
            version is not None
            and self._catalogue.closure(raw.project, raw.function, version).public
        )
        return public or asking.principal() is not None


def attributes_of(head: HttpHead) -> tuple[tuple[str, str], ...]:
    """Return the attributes of a CloudEvent in binary mode, percent-decoded as its binding says."""
    return tuple(
        (name[3:].decode("latin-1"), unquote(value.decode("latin-1"), errors="replace"))
        for name, value in head.headers
        if name.startswith(b"ce-")
    )


def _accepts_cloud_event(head: HttpHead) -> bool:
    """Tell whether a caller asks for its answer as a CloudEvent, by name."""
    value = head.header(b"accept")
    return value is not None and any(
        media_type_of(one) == STRUCTURED for one in value.decode("latin-1").split(",")
    )


def _unread(version: Version, head: HttpHead, trigger: str) -> RawInvocation:
    """Return what is known of a call whose body was not read, for its record."""
    return RawInvocation(
        trigger=trigger,
        project=version.project,
        function=version.function,
        qualifier=None,
        credential=None,
        content_type="",
        body=b"",
        received_at=time.time(),
        remote_address=head.peer,
    )
