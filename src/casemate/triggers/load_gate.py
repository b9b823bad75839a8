"""Answers calls for which there is no room from their head, before their body is read.

Stands before the HTTP trigger. While no call waits for an instance it does nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from casemate.admission import Catalogue
from casemate.delivery.wish import IDEMPOTENCY_KEY, PREFER
from casemate.dispatch import Dispatcher
from casemate.invocation import LoadRefusals
from casemate.model.deployment import Version
from casemate.model.http import HttpHead, HttpResponse
from casemate.model.path import RawInvocation
from casemate.model.route import host_of
from casemate.triggers.http import API_PREFIX, INVOKE_PREFIX, split_invoke_path

_KEPT_OR_REPLAYED = frozenset((PREFER, IDEMPOTENCY_KEY))
"""Headers of calls that may be answered without an instance."""


class LoadGate:
    """Looks at heads only."""

    def __init__(
        self,
        catalogue: Catalogue,
        dispatcher: Dispatcher,
        refusals: LoadRefusals,
        body_limit: Callable[[HttpHead], int | HttpResponse],
    ) -> None:
        """Stand before `body_limit`."""
        self._catalogue = catalogue
        self._dispatcher = dispatcher
        self._refusals = refusals
        self._body_limit = body_limit

    def body_limit(self, head: HttpHead) -> int | HttpResponse:
        """Return the bytes that a body may have, or the answer to a call without room."""
        if self._dispatcher.crowded:
            version = self._called(head)
            if version is not None:
                answer = self._refusals.foreseen(
                    self._dispatcher,
                    version,
                    self._catalogue.closure(version.project, version.function, version),
                    lambda: _unread(version, head),
                    _credential(head),
                )
                if answer is not None:
                    return answer
        return self._body_limit(head)

    def _called(self, head: HttpHead) -> Version | None:
        """Return the version that a request calls and waits for, None if it is no such call."""
        path = head.path
        if path.startswith(API_PREFIX) or any(n in _KEPT_OR_REPLAYED for n, _ in head.headers):
            return None
        if path.startswith(INVOKE_PREFIX):
            names = split_invoke_path(path)
            return self._catalogue.find(*names) if names and head.method == "POST" else None
        match = self._catalogue.route(head.method, path, host_of(head.header(b"host")))
        if match is None or isinstance(match, frozenset) or match.route.asynchronous:
            return None
        return self._catalogue.find(match.route.project, match.route.function)


def _credential(head: HttpHead) -> str | None:
    value = head.header(b"authorization")
    return None if value is None else value.decode("latin-1")


def _unread(version: Version, head: HttpHead) -> RawInvocation:
    """Return what is known of a call whose body was not read, for its record."""
    return RawInvocation(
        trigger="invoke" if head.path.startswith(INVOKE_PREFIX) else "http",
        project=version.project,
        function=version.function,
        qualifier=None,
        credential=None,
        content_type="",
        body=b"",
        received_at=time.time(),
        remote_address=head.peer,
    )
