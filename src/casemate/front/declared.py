"""Calls of functions by the routes that their manifests declare."""

from __future__ import annotations

import time
from functools import partial

from casemate.admission import Catalogue
from casemate.admission.routes import Match
from casemate.front.asking import Asking
from casemate.front.calls import Calls
from casemate.front.cors import asked_method, preflight, shared
from casemate.front.nowhere import Nowhere, without_body
from casemate.front.origin import is_script_for_all
from casemate.front.said import Said
from casemate.model.function import Cors
from casemate.model.http import UNKNOWN_LIMIT, Destination, HttpHead, HttpRequest, HttpResponse
from casemate.model.invocation import Outcome
from casemate.model.path import RawInvocation
from casemate.model.route import host_of
from casemate.triggers.http_event import MAX_QUERY_FIELDS, http_event

_TRIGGER = "http"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class DeclaredRoutes:
    """Every path that is not the node's own."""

    def __init__(self, catalogue: Catalogue, calls: Calls, nowhere: Nowhere) -> None:
        """Look routes up in `catalogue`."""
        self._catalogue = catalogue
        self._calls = calls
        self._nowhere = nowhere

    def find(self, head: HttpHead, asking: Asking) -> Destination | HttpResponse:
        """Return where a request leads, or the answer to a call for which there is no room."""
        host = host_of(head.header(b"host"))
        wanted = asked_method(head)
        if wanted is not None:
            cors = self._asked(head, wanted, host)
            if cors is not None:
                return Destination(UNKNOWN_LIMIT, partial(self._preflight, cors, host))
        match = self._catalogue.route(head.method, head.path, host)
        if match is None:
            known = self._catalogue.has_public_route_like(head.path, host)
            return self._nowhere.find(head, asking, known=known)
        if isinstance(match, frozenset):
            return without_body(head, partial(self._wrong_method, head, asking, host))
        if is_script_for_all(head) and not self._catalogue.owns_origin(match.route.project, host):
            return self._nowhere.find(head, asking)
        return self._called(match, asking, Said(head, later=match.route.asynchronous))

    def _called(self, match: Match, asking: Asking, said: Said) -> Destination | HttpResponse:
        version = self._catalogue.find(match.route.project, match.route.function)
        limit = UNKNOWN_LIMIT
        if version is not None:
            full = None
            if not match.route.asynchronous:
                full = self._calls.full(version, said, asking, "http")
            if full is not None:
                return full
            limit = self._calls.limit(version, asking, _TRIGGER)
        answer = partial(self._call, match, asking, said)
        return Destination(limit, answer, plain=said.is_plain)

    async def _call(
        self, match: Match, asking: Asking, said: Said, request: HttpRequest
    ) -> HttpResponse:
        head = request.head
        try:
            event = http_event(request, match.route.template, match.parameters)
        except ValueError:
            detail = f"The query has more than {MAX_QUERY_FIELDS} fields."
            return self._nowhere.refuse(head, asking, Outcome.INVALID, 400, detail)
        raw = RawInvocation(
            trigger=_TRIGGER,
            project=match.route.project,
            function=match.route.function,
            qualifier=None,
            credential=asking.credential,
            checked=asking.checked,
            content_type="",
            body=request.body,
            attributes=said.attributes,
            event=event,
            received_at=time.time(),
            remote_address=head.peer,
            trace=said.trace,
        )
        response = await self._calls.call(raw, said, asking)
        cors = self._cors(match)
        return response if cors is None else shared(cors, head, response)

    def _cors(self, match: Match) -> Cors | None:
        version = self._catalogue.most_live(match.route.project, match.route.function)
        return None if version is None else version.spec.cors

    def _asked(self, head: HttpHead, wanted: str, host: str) -> Cors | None:
        """Return what a preflight is decided by; None where the manifest says nothing of it."""
        match = self._catalogue.route(wanted, head.path, host)
        cors = self._cors(match) if isinstance(match, Match) else None
        return cors if cors is not None and cors.origins else None

    async def _preflight(self, cors: Cors, host: str, request: HttpRequest) -> HttpResponse:
        return preflight(cors, request.head, self._methods(request.head, host))

    def _methods(self, head: HttpHead, host: str, *, public: bool = False) -> list[str]:
        """Return the methods that a path takes, or those of functions that are open to all."""
        found = []
        for method in METHODS:
            match = self._catalogue.route(method, head.path, host)
            if not isinstance(match, Match):
                continue
            version = self._catalogue.find(match.route.project, match.route.function)
            if version is None:
                continue
            closure = self._catalogue.closure(version.project, version.function, version)
            if closure.public or not public:
                found.append(method)
        return found

    def _wrong_method(self, head: HttpHead, asking: Asking, host: str) -> HttpResponse:
        """Answer 405; who has no token is told of what is open to all, and of nothing else."""
        every, public = self._methods(head, host), self._methods(head, host, public=True)
        answer = self._nowhere.wrong_method(head, asking, every, public=public)
        # A page reads what is wrong as it reads all other answers of what is open to all.
        match = self._catalogue.route(public[0], head.path, host) if public else None
        cors = self._cors(match) if isinstance(match, Match) else None
        return answer if cors is None else shared(cors, head, answer)
