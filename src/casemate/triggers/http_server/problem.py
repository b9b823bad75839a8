"""What the server itself answers in place of a handler, with fixed texts."""

from __future__ import annotations

from http import HTTPStatus

from casemate.model.http import HttpResponse
from casemate.model.problem import problem_response

_RETRYABLE = (429, 503)
_RETRY_SECONDS = 1


def reason_phrase(status: int) -> str:
    """Return the reason phrase of a status code (RFC 9110), `Unknown` if it has none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def server_problem(status: int, detail: str, error_id: str | None = None) -> HttpResponse:
    """Return a problem; 429 and 503 carry `Retry-After`.

    It leaves at once: what cannot be read as a request ends its connection, which is better free.
    """
    retry_after = _RETRY_SECONDS if status in _RETRYABLE else None
    response = problem_response(status, detail, error_id=error_id, retry_after=retry_after)
    response.paced = False
    return response
