"""Requests that lead nowhere: what is said of them depends on who may know.

Without a token all of them look the same; with one that has no role on the whole node they look
like a function that it may not invoke, so that nobody maps another project's routes.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus

from casemate.admission import Authenticator
from casemate.front.asking import Asking
from casemate.model.asked_path import asked_path
from casemate.model.denial import DenialKind, denied_on
from casemate.model.facts import NOT_BY_NETWORK, Actor, Fact
from casemate.model.http import (
    UNKNOWN_LIMIT,
    Destination,
    HttpHead,
    HttpRequest,
    HttpResponse,
)
from casemate.model.invocation import Outcome
from casemate.model.path import Failure, Finished, RawInvocation, Sealed
from casemate.model.principal import ANONYMOUS, NODE, Action, Principal
from casemate.model.refusals import refusal_type
from casemate.seal import Seal
from casemate.triggers.http_server import server_problem

_MAX_DIGITS = 18
"""Of a length: the server takes no more."""
_ALIKE_SECONDS = 60.0
_MAX_ALIKE = 64
"""Ways of being malformed that are told apart; the server's words for them are fewer."""
_FAULTS = (HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE)
"""What is answered for the node's sake, not for what the request is."""


def without_body(
    head: HttpHead, answer: Callable[[], HttpResponse], limit: int = UNKNOWN_LIMIT
) -> Destination | HttpResponse:
    """Lead a request to an answer for which nobody reads its body, of at most `limit` bytes.

    One that announces more than UNKNOWN_LIMIT is answered by its head: that a body is too large is
    not what is wrong with it.
    """
    length = head.header(b"content-length") or b""
    if length.isdigit() and len(length) <= _MAX_DIGITS and int(length) > UNKNOWN_LIMIT:
        return answer()

    async def answered(_: HttpRequest) -> HttpResponse:
        return answer()

    return Destination(limit, answered)


class Nowhere:
    """Answers requests that nobody serves, and records who sent them."""

    def __init__(
        self, accounts: Authenticator, seal: Seal, happened: Callable[[Fact], None]
    ) -> None:
        """Close requests by `seal`.

        Those without a valid token, or of who may not know, are told by `happened` as well.
        """
        self._accounts = accounts
        self._seal = seal
        self._happened = happened
        self._malformed: dict[tuple[int, str], tuple[float, str]] = {}

    def find(
        self, head: HttpHead, asking: Asking, *, known: bool = False
    ) -> Destination | HttpResponse:
        """Lead a request nowhere; see `not_found`."""
        return without_body(head, partial(self.not_found, head, asking, known=known))

    def only(
        self, head: HttpHead, asking: Asking, allow: Iterable[str]
    ) -> Destination | HttpResponse:
        """Lead a request to what takes other methods only, which is no secret."""
        told = tuple(allow)
        return without_body(head, partial(self.wrong_method, head, asking, told, public=told))

    def no_hook(self, request: HttpRequest, *, recorded: bool) -> HttpResponse:
        """Answer as if there were no web hook at a path; `recorded`: the denial is known."""
        asking = Asking(self._accounts, request.head)
        if request.head.method != "POST":
            return self.wrong_method(request.head, asking, ("POST",))
        return self.not_found(request.head, asking, recorded=recorded)

    def not_found(
        self, head: HttpHead, asking: Asking, *, recorded: bool = False, known: bool = False
    ) -> HttpResponse:
        """Answer as for a path that there is not; `recorded`: that it was denied is known.

        With `known` it is beside what is open to all, and 404 tells nobody anything.
        """
        detail = "There is no such path."
        return self.refuse(
            head, asking, Outcome.NOT_FOUND, 404, detail, recorded=recorded, known=known
        )

    def wrong_method(
        self,
        head: HttpHead,
        asking: Asking,
        allow: Iterable[str],
        *,
        public: Iterable[str] = (),
        detail: str = "This path does not take this method.",
    ) -> HttpResponse:
        """Answer 405; who may not know is told of the `public` methods, and of nothing else."""
        told = tuple(allow if self._may_know(asking) else public)
        return self.refuse(
            head, asking, Outcome.INVALID, 405, detail, allow=told, known=bool(tuple(public))
        )

    @staticmethod
    def _may_know(asking: Asking) -> bool:
        """Tell whether who asks has a role on the whole node."""
        who = asking.principal()
        return who is not None and any(binding.project is None for binding in who.bindings)

    def refuse(
        self,
        head: HttpHead,
        asking: Asking,
        outcome: Outcome,
        status: int,
        detail: str,
        *,
        allow: tuple[str, ...] = (),
        recorded: bool = False,
        known: bool = False,
    ) -> HttpResponse:
        """Refuse a request that names no function. `known`: that there is none is no secret."""
        who = asking.principal()
        if known:
            pass  # whoever asks, the answer is the same
        elif who is None:
            outcome, status, detail = Outcome.DENIED, 401, "This needs a valid token."
            if not recorded:
                self._record(head, ANONYMOUS, DenialKind.AUTHENTICATION, "no valid token")
        elif not self._may_know(asking):
            outcome, status, detail = Outcome.DENIED, 403, "The token does not allow this."
            if not recorded:
                self._record(head, who, DenialKind.AUTHORIZATION, "no policy allows it")
        asked = f"{head.method} {asked_path(head.path)}"
        answer = self._close(outcome, status, detail, f"{asked}: {detail}").response
        if status == 405:
            answer.headers = (*answer.headers, (b"allow", ", ".join(allow).encode()))
        return answer

    def malformed(self, status: int, detail: str, error_id: str | None) -> HttpResponse:
        """Answer what is no request that the server takes, and record it."""
        if status not in _FAULTS:
            self._happened(
                denied_on(
                    NODE,
                    at=time.time(),
                    kind=DenialKind.REQUEST,
                    # The server does not say whose request it could not read.
                    by=Actor(ANONYMOUS.text, NOT_BY_NETWORK),
                    action="http",
                    reason=f"{status}: {detail}",
                )
            )
            error_id = self._alike(status, detail)
        return server_problem(status, detail, error_id or f"err_{secrets.token_hex(12)}")

    def _alike(self, status: int, detail: str) -> str:
        """Return the id of an error that is on record, and stands for all alike for a while.

        They come as fast as somebody likes: to record each would push out the errors of functions.
        """
        now, key = time.monotonic(), (status, detail)
        until, error_id = self._malformed.get(key, (0.0, ""))
        if now >= until:
            error_id = self._close(Outcome.INVALID, status, detail, detail).error_id
            if len(self._malformed) >= _MAX_ALIKE:
                self._malformed.clear()
            self._malformed[key] = (now + _ALIKE_SECONDS, error_id)
        return error_id

    def _close(self, outcome: Outcome, status: int, detail: str, message: str) -> Sealed:
        """Return an answer with the id of an error that is on record with `message`."""
        raw = RawInvocation(
            trigger="http",
            project="",
            function="",
            qualifier=None,
            credential=None,
            content_type="",
            body=b"",
            received_at=time.time(),
        )
        failure = Failure(type=refusal_type(outcome, status), message=message)
        return self._seal.complete(
            Finished(outcome=outcome, raw=raw, status=status, detail=detail, failure=failure)
        )

    def _record(self, head: HttpHead, who: Principal, kind: DenialKind, reason: str) -> None:
        self._happened(
            denied_on(
                NODE,
                at=time.time(),
                kind=kind,
                by=Actor(who.text, head.peer),
                action=Action.FUNCTION_INVOKE.value,
                reason=reason,
                path=head.path,
            )
        )
