"""Calls of functions over HTTP, by name or by a route: what both have in common.

Where calls wait for an instance already, one more is answered from its head if there is no room
for it, before its body is read.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial

from casemate.admission import DIRECT, Catalogue
from casemate.delivery.wish import Wish
from casemate.dispatch import Dispatcher
from casemate.front.asking import Asking
from casemate.front.origin import confined, says_of_origin
from casemate.front.said import Said
from casemate.invocation import LoadRefusals
from casemate.invocation.cloudevents import answered
from casemate.invocation.rendering import function_source
from casemate.invocation.unfinished import refused
from casemate.model.deployment import Version
from casemate.model.http import UNKNOWN_LIMIT, HttpResponse
from casemate.model.path import RawInvocation
from casemate.seal import Seal

Take = Callable[[RawInvocation, Wish], Awaitable[HttpResponse]]


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

    @property
    def crowded(self) -> bool:
        """True if heads have to be looked at for whether there is room; see `full`."""
        return self._dispatcher.crowded

    def limit(self, version: Version, asking: Asking, trigger: str) -> int:
        """Return the bytes a body may have. Callers without a key are given little to send."""
        closure = self._catalogue.closure(version.project, version.function, version)
        if not closure.is_open(trigger) and asking.principal() is None:
            return UNKNOWN_LIMIT
        return version.spec.limits.request

    def full(
        self, version: Version, said: Said, asking: Asking, trigger: str
    ) -> HttpResponse | None:
        """Return the answer to a call that waits and for which there is no room, None otherwise."""
        if not self._dispatcher.crowded or said.may_wait:
            return None
        return self._refusals.foreseen(
            self._dispatcher,
            version,
            self._catalogue.closure(version.project, version.function, version),
            partial(_unread, version, said, trigger),
            asking.caller,
        )

    async def call(self, raw: RawInvocation, said: Said, asking: Asking) -> HttpResponse:
        """Have a function called as the request's head wishes, and answer what came of it."""
        wish, refusal = said.wish, said.refusal
        if refusal is not None and self._may_know(raw, asking):
            return self._seal.close(refused(raw, None, None, refusal))
        # Else it is refused for what it lacks, which tells nothing of the function.
        response = await self._take(raw, wish)
        if says_of_origin(response):
            response = self._confined(response, raw, said)
        if said.event_wanted and not wish.later:
            return answered(response, function_source(raw.project, raw.function))
        return response

    def _confined(self, response: HttpResponse, raw: RawInvocation, said: Said) -> HttpResponse:
        """Return an answer that sets nothing for other projects on the same host."""
        if self._catalogue.owns_origin(raw.project, said.host):
            return response
        segments = said.head.path.split("/", 3)
        depth = 3 if raw.trigger == DIRECT else 2
        return confined(response, "/".join(segments[:depth]).encode("latin-1"))

    def _may_know(self, raw: RawInvocation, asking: Asking) -> bool:
        """Tell whether a caller showed a valid token, or needs none: only then is it advised."""
        version = self._catalogue.find(raw.project, raw.function, raw.qualifier)
        public = version is not None and self._catalogue.closure(
            raw.project, raw.function, version
        ).is_open(raw.trigger)
        return public or asking.principal() is not None


def _unread(version: Version, said: Said, trigger: str) -> RawInvocation:
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
        remote_address=said.head.peer,
        trace=said.trace,
    )
