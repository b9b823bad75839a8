"""Cross-origin requests (the Fetch standard's CORS protocol), decided by the manifest.

Preflights are answered by the node; no code of the function runs for them.
"""

from __future__ import annotations

from casemate.model.function import Cors
from casemate.model.http import HttpHead, HttpResponse

ORIGIN = b"origin"
REQUEST_METHOD = b"access-control-request-method"
_PREFIX = b"access-control-"
ANY = "*"


def asked_method(head: HttpHead) -> str | None:
    """Return the method that a preflight asks for, None if the request is no preflight."""
    if head.method != "OPTIONS" or head.header(ORIGIN) is None:
        return None
    wanted = head.header(REQUEST_METHOD)
    return None if wanted is None or len(wanted) > 32 else wanted.decode("latin-1")


def preflight(cors: Cors, head: HttpHead, methods: list[str]) -> HttpResponse:
    """Answer a preflight: 204, with what is allowed if the origin is."""
    headers = [(b"vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers")]
    allowed = _origin(cors, head)
    if allowed is not None:
        headers += _for_origin(cors, allowed)
        headers.append((b"access-control-allow-methods", ", ".join(methods).encode()))
        if cors.headers:
            headers.append((b"access-control-allow-headers", ", ".join(cors.headers).encode()))
        headers.append((b"access-control-max-age", str(int(cors.max_age)).encode()))
    return HttpResponse(204, tuple(headers))


def shared(cors: Cors, head: HttpHead, response: HttpResponse) -> HttpResponse:
    """Return an answer with what its manifest lets other origins read, and nothing else of it."""
    if not cors.origins:
        return response  # the function answers for itself
    kept = [(n, v) for n, v in response.headers if not n.lower().startswith(_PREFIX)]
    allowed = _origin(cors, head)
    if allowed is not None:
        kept += _for_origin(cors, allowed)
        if cors.expose:
            kept.append((b"access-control-expose-headers", ", ".join(cors.expose).encode()))
    if cors.origins != (ANY,):
        kept.append((b"vary", b"Origin"))
    response.headers = tuple(kept)
    return response


def _origin(cors: Cors, head: HttpHead) -> bytes | None:
    """Return the value of Access-Control-Allow-Origin for a request, None if it gets none."""
    origin = head.header(ORIGIN)
    if origin is None:
        return None
    if ANY in cors.origins:
        return b"*"
    return origin if origin.decode("latin-1") in cors.origins else None


def _for_origin(cors: Cors, allowed: bytes) -> list[tuple[bytes, bytes]]:
    found = [(b"access-control-allow-origin", allowed)]
    if cors.credentials and allowed != b"*":
        found.append((b"access-control-allow-credentials", b"true"))
    return found
