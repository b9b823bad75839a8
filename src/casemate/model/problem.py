"""What is answered in place of what was asked for: RFC 9457 problem details, all made here.

Every problem has a type of ours, `urn:casemate:problem:` and a word that does not change, so that a
program tells one from another without reading texts. What a caller is told beyond that, and under
which id the owner finds the rest, is up to who refuses.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from casemate.model.http import HttpResponse

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:casemate:problem:"
CHALLENGE = 'Bearer realm="casemate"'
"""What 401 asks for (RFC 6750)."""


class Kind(NamedTuple):
    """What never changes of a problem."""

    word: str
    """The last part of its type."""
    title: str


KINDS = {
    400: Kind("bad-request", "Bad request"),
    401: Kind("unauthenticated", "Not authenticated"),
    403: Kind("forbidden", "Not allowed"),
    404: Kind("not-found", "Not found"),
    405: Kind("method-not-allowed", "Method not allowed"),
    408: Kind("request-too-slow", "Request too slow"),
    409: Kind("conflict", "Conflict"),
    413: Kind("too-large", "Body too large"),
    414: Kind("query-too-long", "Target or query too long"),
    415: Kind("unsupported-media-type", "Unsupported media type"),
    417: Kind("unmet-expectation", "Expectation cannot be met"),
    422: Kind("unprocessable", "Cannot be processed"),
    429: Kind("too-many-requests", "Too many requests"),
    431: Kind("head-too-large", "Request head too large"),
    500: Kind("internal", "Internal error"),
    501: Kind("not-implemented", "Not implemented"),
    503: Kind("unavailable", "Unavailable"),
    504: Kind("too-slow", "Not answered in time"),
    505: Kind("version-not-supported", "HTTP version not supported"),
    507: Kind("no-room", "No room"),
}
"""What a status means where nothing more is said."""
FUNCTION_FAILED = Kind("function-failed", "The function failed")
FUNCTION_TOO_SLOW = Kind("function-too-slow", "The function took too long")
_OTHER = Kind("other", "Error")
_HEADERS = ((b"content-type", MEDIA_TYPE.encode()), (b"cache-control", b"no-store"))


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem detail (RFC 9457, section 3.1) with our extension members."""

    type: str
    """`urn:casemate:problem:` and a word that does not change."""
    title: str
    status: int
    detail: str | None = None
    error_id: str | None = None
    """Missing where the node keeps nothing about it."""


def kind_of(status: int) -> Kind:
    """Return what a status means by itself."""
    return KINDS.get(status, _OTHER)


def problem_response(
    status: int,
    detail: str | None = None,
    *,
    kind: Kind | None = None,
    error_id: str | None = None,
    retry_after: int | None = None,
    allow: bytes | None = None,
) -> HttpResponse:
    """Return a problem as a response.

    `detail` is a fixed text that never quotes the request or an exception; `error_id` lets the
    owner find what happened. `kind` says more than the status does. `retry_after` is in seconds.
    What the request is refused for (4xx) leaves at the server's pace: who asks again at once, on
    each of many connections, would take the time of those that are served.
    """
    kind = kind or kind_of(status)
    headers: tuple[tuple[bytes, bytes], ...] = _HEADERS
    if status == 401:
        headers = (*headers, (b"www-authenticate", CHALLENGE.encode()))
    if retry_after is not None:
        headers = (*headers, (b"retry-after", str(retry_after).encode()))
    if allow is not None:
        headers = (*headers, (b"allow", allow))
    problem = Problem(
        type=TYPE_PREFIX + kind.word,
        title=kind.title,
        status=status,
        detail=detail,
        error_id=error_id,
    )
    refused = 400 <= status < 500
    return HttpResponse(status, headers, msgspec.json.encode(problem), paced=refused)
