"""Error bodies of the server itself: RFC 9457 problem details with fixed texts."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from casemate.model.http import HttpResponse

RETRY_AFTER = (b"retry-after", b"1")
_RETRYABLE = (429, 503)
_TYPE = (b"content-type", b"application/problem+json")
_UNSTORED = (b"cache-control", b"no-store")


def reason_phrase(status: int) -> str:
    """Return the reason phrase of a status code (RFC 9110), `Unknown` if it has none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def problem_response(status: int, detail: str, error_id: str | None = None) -> HttpResponse:
    """Return an `application/problem+json` response.

    `detail` is a fixed text that never quotes the request or an exception; `error_id` lets the
    owner find what happened. 429 and 503 carry `Retry-After` (seconds).
    """
    problem: dict[str, str | int] = {
        "type": "about:blank",
        "title": reason_phrase(status),
        "status": status,
        "detail": detail,
    }
    if error_id is not None:
        problem["error_id"] = error_id
    headers: tuple[tuple[bytes, bytes], ...] = (_TYPE, _UNSTORED)
    if status in _RETRYABLE:
        headers = (*headers, RETRY_AFTER)
    return HttpResponse(status=status, headers=headers, body=msgspec.json.encode(problem))
