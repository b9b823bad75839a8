"""Refusals for load: told from a request's head where that is enough, and recorded as few.

A flood is refused more often than anything else happens, so a refusal must cost less than a call:
nothing of it is read that is not needed, and only the first of a function in each second have
records of their own. All others are counted, and one denial tells how many there were.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec

from casemate.admission import Closure
from casemate.dispatch import Dispatcher
from casemate.invocation.unfinished import refused
from casemate.model.denial import DenialKind, denied_at
from casemate.model.deployment import Version
from casemate.model.facts import NOT_BY_NETWORK, Actor, Fact, FunctionPlace
from casemate.model.http import HttpResponse
from casemate.model.invocation import Outcome
from casemate.model.path import Admitted, RawInvocation, RefusedError, Request, Sealed
from casemate.model.principal import NODE, Action, Principal, Resource, ResourceKind
from casemate.policy.interface import Policy
from casemate.seal import Seal

RECORDED = 20
"""Refusals of a function that have a record of their own, in each window."""
WINDOW_SECONDS = 1.0
MAX_KINDS = 4096
"""Functions and callers told apart within a window; those beyond are counted as one."""

_Key = tuple[str, str, int, str]
"""Project, function, version and caller, all empty for those beyond."""
_BEYOND: _Key = ("", "", 0, "")


class _Window:
    """What was refused of one function to one caller within the present window."""

    __slots__ = ("answer", "began", "folded", "reason", "recorded")

    def __init__(self, began: float) -> None:
        self.began = began
        self.recorded = 0
        self.folded = 0
        self.reason = ""
        self.answer: Sealed | None = None
        """The last one that has a record; those that are only counted are answered alike."""


class LoadRefusals:
    """Refuses what there is no room for. On the event loop only."""

    def __init__(
        self,
        seal: Seal,
        policy: Policy,
        happened: Callable[[Fact], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Close refusals with `seal`; `happened` hears one denial of all that are only counted."""
        self._seal = seal
        self._policy = policy
        self._happened = happened
        self._loop = loop
        self._windows: dict[_Key, _Window] = {}
        self._timer: asyncio.TimerHandle | None = None

    def foreseen(
        self,
        dispatcher: Dispatcher,
        version: Version,
        closure: Closure,
        raw: Callable[[], RawInvocation],
        caller: Callable[[], Principal | None],
    ) -> HttpResponse | None:
        """Return the answer to a call for which there is no room, None if it may go on.

        `closure` says who may call the version, `caller` who asks; None for a wrong credential.

        It goes on as well if it would be refused for another reason: whoever may not call a
        function must not learn from its load that it exists. Decides nothing else.
        """
        refusal = dispatcher.refusal(version)
        if refusal is None or not closure.is_live:  # what is not live asks for a right of its own
            return None
        principal = caller()
        if principal is None or not self._may_call(principal, version, closure):
            return None
        return self._refuse(version, principal, raw, None, None, refusal).response

    def refuse(
        self,
        raw: RawInvocation,
        request: Request | None,
        admitted: Admitted | None,
        refusal: RefusedError,
    ) -> Sealed:
        """Return the end of an invocation that a stage refused."""
        if refusal.outcome is not Outcome.THROTTLED or admitted is None:
            return self._seal.complete(refused(raw, request, admitted, refusal))
        return self._refuse(
            admitted.version, admitted.principal, lambda: raw, request, admitted, refusal
        )

    def _may_call(self, principal: Principal, version: Version, closure: Closure) -> bool:
        resource = Resource(
            kind=ResourceKind.FUNCTION,
            project=version.project,
            name=version.function,
            internal=closure.internal,
            public=closure.public,
        )
        return self._policy.allows(principal, Action.FUNCTION_INVOKE, resource, granted=False)

    def _refuse(
        self,
        version: Version,
        principal: Principal,
        raw: Callable[[], RawInvocation],
        request: Request | None,
        admitted: Admitted | None,
        refusal: RefusedError,
    ) -> Sealed:
        window = self._window(version, principal)
        if window.answer is not None and window.recorded >= RECORDED:
            window.folded += 1
            self._seal.count_alike(version, refusal.outcome)
            window.reason = refusal.message
            return _alike(window.answer, refusal.retry_after)
        window.recorded += 1
        window.answer = self._seal.complete(refused(raw(), request, admitted, refusal))
        return window.answer

    def _window(self, version: Version, principal: Principal) -> _Window:
        key: _Key = (version.project, version.function, version.number, principal.text)
        window = self._windows.get(key)
        if window is None:
            if len(self._windows) >= MAX_KINDS:
                key = _BEYOND
            window = self._windows.setdefault(key, _Window(time.time()))
            if self._timer is None:
                self._timer = self._loop.call_later(WINDOW_SECONDS, self.flush)
        return window

    def flush(self) -> None:
        """Record what was only counted, and begin anew."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        windows, self._windows = self._windows, {}
        for (project, function, number, principal), window in windows.items():
            if window.folded:
                self._happened(
                    denied_at(
                        FunctionPlace(project, function, number, invocation=""),
                        at=window.began,
                        kind=DenialKind.LOAD,
                        # Those of several addresses are one.
                        by=Actor(principal, NOT_BY_NETWORK),
                        action=Action.FUNCTION_INVOKE.value,
                        reason=window.reason,
                        resource="" if function else NODE.text,
                        count=window.folded,
                    )
                )


def _alike(sealed: Sealed, retry_after: int | None) -> Sealed:
    """Return the same refusal with its own time to come back."""
    answer = sealed.response
    wait = (b"retry-after", str(retry_after).encode())
    headers = tuple(
        wait if name == b"retry-after" else (name, value) for name, value in answer.headers
    )
    return msgspec.structs.replace(
        sealed,
        response=HttpResponse(answer.status, headers, answer.body, paced=True),
        retry_after=retry_after,
    )
