"""What the operations on accounts have in common: statuses of their errors."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from casemate.accounts import EscalationError, LoginRefusedError, TooManyAttemptsError
from casemate.api.authorization import actor
from casemate.api.performing import Call
from casemate.api.problems import RequestError, problem_response
from casemate.model.denial import Denial, DenialKind, denied_on
from casemate.model.principal import NODE

OperationT = TypeVar("OperationT")
AnswerT = TypeVar("AnswerT")


def answering(
    perform: Callable[[OperationT, Call], Awaitable[AnswerT]],
) -> Callable[[OperationT, Call], Awaitable[AnswerT | Response]]:
    """Give the errors of accounts their statuses: 401, 403, and 429 with the time to wait."""

    @functools.wraps(perform)
    async def answered(operation: OperationT, call: Call) -> AnswerT | Response:
        try:
            return await perform(operation, call)
        except LoginRefusedError as error:
            raise RequestError(
                HTTPStatus.UNAUTHORIZED, error.message, next_step=error.next_step
            ) from error
        except EscalationError as error:
            call.service.facts.happened(_escalation(call.request))
            raise RequestError(
                HTTPStatus.FORBIDDEN, error.message, next_step=error.next_step
            ) from error
        except TooManyAttemptsError as error:
            return problem_response(
                HTTPStatus.TOO_MANY_REQUESTS,
                error.message,
                next_step=error.next_step,
                headers={"Retry-After": str(math.ceil(error.retry_after))},
            )

    return answered


def _escalation(request: Request) -> Denial:
    return denied_on(
        NODE,
        at=time.time(),
        kind=DenialKind.AUTHORIZATION,
        by=actor(request),
        action=f"{request.method} accounts",
        reason="more than the caller has itself",
    )
