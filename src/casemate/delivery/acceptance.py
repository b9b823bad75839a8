"""The way in of calls that may ask for more than an answer.

Calls with an idempotency key that are waited for take the first two stages before the key is
claimed: whoever may not call a function must not be able to claim a key of it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from casemate.data.interface import InvocationState, InvocationStatus, ProjectData
from casemate.delivery.keeping import Keeping, under_way
from casemate.delivery.verdict import NOTHING_RAN, body_of, content_type_of
from casemate.delivery.wish import Wish
from casemate.model.http import HttpResponse
from casemate.model.invocation import Outcome
from casemate.model.path import Admitted, RawInvocation, RefusedError, Sealed
from casemate.seal.close import problem

_NOT_RUN = NOTHING_RAN | {Outcome.INVALID, Outcome.DENIED, Outcome.NOT_FOUND}

Run = Callable[[RawInvocation], Awaitable[Sealed]]


class Acceptance:
    """Takes calls as they wish: at once, later, or once for each idempotency key."""

    def __init__(self, keeping: Keeping, data: ProjectData, run: Run) -> None:
        """Keep by `keeping`, and answers in `data`; `run` is the path."""
        self._keeping = keeping
        self._data = data
        self._run = run

    async def take(self, raw: RawInvocation, wish: Wish) -> HttpResponse:
        """Answer a call as it wishes. Never raises."""
        if not wish.later and wish.idempotency is None:
            return (await self._run(raw)).response
        return await self._keeping.take(raw, wish, self._once)

    async def _once(self, admitted: Admitted, wish: Wish) -> HttpResponse:
        raw = admitted.request.raw
        first = await self._keeping.claim(admitted, wish.idempotency or "")
        if first is not None:
            return _replayed(first)
        accepted_at = time.time()
        sealed = await self._run(raw)
        if sealed.outcome in _NOT_RUN:
            await self._data.abandon_invocation(raw.project, raw.id)
            return sealed.response
        succeeded = sealed.outcome is Outcome.OK
        await self._data.finish_invocation(
            raw.project,
            InvocationStatus(
                id=raw.id,
                function=raw.function,
                state=InvocationState.SUCCEEDED if succeeded else InvocationState.FAILED,
                attempts=1,
                accepted_at=accepted_at,
                finished_at=time.time(),
                status=sealed.response.status,
                content_type=content_type_of(sealed.response),
                result=body_of(sealed.response) if succeeded else None,
                reason="" if succeeded else sealed.outcome.value,
                error_id=sealed.error_id,
            ),
        )
        return sealed.response


def _replayed(first: InvocationStatus) -> HttpResponse:
    """Return the answer of the call that was first. Raises RefusedError if there is none."""
    if first.finished_at is None:
        raise under_way()
    status = first.status or 500
    if first.state is not InvocationState.SUCCEEDED:
        answer = problem(status, first.error_id)
    elif first.result is None:
        raise RefusedError(
            Outcome.INVALID,
            f"The call {first.id} ended; its answer was too large to be kept.",
            status=409,
        )
    else:
        content_type = (b"content-type", first.content_type.encode("latin-1", "replace"))
        answer = HttpResponse(status, (content_type,) if first.content_type else (), first.result)
    answer.headers = (
        *answer.headers,
        (b"x-request-id", first.id.encode()),
        (b"idempotency-replayed", b"true"),
    )
    return answer
