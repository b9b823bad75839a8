"""The event of an HTTP trigger: what a function is told of a request."""

from __future__ import annotations

import base64
from urllib.parse import parse_qsl

from casemate.model.http import HttpRequest

MAX_QUERY_FIELDS = 256
_TEXT_TYPES = frozenset(
    (
        "application/json",
        "application/xml",
        "application/x-www-form-urlencoded",
        "application/javascript",
    )
)
_HIDDEN = frozenset((b"authorization", b"proxy-authorization"))
"""The platform's own credentials: a function has no use for its caller's key."""


def is_text(content_type: str) -> bool:
    """Tell whether a media type's body is handed over as text when it is valid UTF-8."""
    media_type = content_type.partition(";")[0].strip().lower()
    return (
        media_type.startswith("text/")
        or media_type in _TEXT_TYPES
        or media_type.endswith(("+json", "+xml"))
    )


def _body(request: HttpRequest, content_type: str) -> tuple[str | None, bool]:
    if not request.body:
        return None, False
    if is_text(content_type):
        try:
            return request.body.decode(), False
        except UnicodeDecodeError:
            pass  # what is not the text it claims to be is handed over as bytes
    return base64.b64encode(request.body).decode(), True


def http_event(
    request: HttpRequest, template: str, parameters: dict[str, str]
) -> dict[str, object]:
    """Return the event of an HTTP trigger. Raises ValueError for a query with too many fields."""
    head = request.head
    headers: dict[str, str] = {}
    for raw_name, raw_value in head.headers:
        if raw_name in _HIDDEN:
            continue
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    query: dict[str, list[str]] = {}
    fields = parse_qsl(head.query, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    for name, value in fields:
        query.setdefault(name, []).append(value)
    body, is_base64 = _body(request, headers.get("content-type", ""))
    return {
        "method": head.method,
        "path": head.path,
        "route": template,
        "path_parameters": parameters,
        "query": query,
        "headers": headers,
        "body": body,
        "is_base64": is_base64,
        "remote_address": head.peer,
    }
