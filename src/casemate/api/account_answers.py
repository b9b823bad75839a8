"""What the operations on accounts have in common: statuses of their errors, small bodies."""

from __future__ import annotations

import functools
import math
import time
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from casemate.accounts import EscalationError, LoginRefusedError, TooManyAttemptsError
from casemate.api.authorization import principal
from casemate.api.inputs import Query, declared_length
from casemate.api.operations import Endpoint, Service
from casemate.api.problems import RequestError, problem_response
from casemate.model.denial import Denial, DenialKind

MAX_BODY = 20 * 1024
"""Bytes; the longest honest body is that of an ID token."""


def answering(endpoint: Endpoint) -> Endpoint:
    """Give the errors of accounts their statuses: 401, 403, and 429 with the time to wait."""

    @functools.wraps(endpoint)
    async def answered(request: Request, service: Service) -> Response:
        try:
            return await endpoint(request, service)
        except LoginRefusedError as error:
            raise RequestError(
                HTTPStatus.UNAUTHORIZED, error.message, next_step=error.next_step
            ) from error
        except EscalationError as error:
            service.deny(_escalation(request))
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
    return Denial(
        at=time.time(),
        kind=DenialKind.AUTHORIZATION,
        principal=principal(request).text,
        action=f"{request.method} accounts",
        resource="node",
        reason="more than the caller has itself",
        remote_address=remote_address(request),
    )


def remote_address(request: Request) -> str:
    """Return the address that the request came from; empty for a Unix socket."""
    return request.client.host if request.client is not None else ""


def require_plain(request: Request) -> None:
    """Refuse a query, and a body that says it is longer than MAX_BODY."""
    Query(request).end()
    declared_length(request, MAX_BODY)
