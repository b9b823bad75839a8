"""Response heads: status line, the fields we always set, the handler's own fields, checked."""

from __future__ import annotations

import re
from email.utils import formatdate

from casemate.model.errors import CasemateError
from casemate.model.http import HttpResponse
from casemate.triggers.http_server.problem import reason_phrase

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
BODILESS = frozenset((204, 304))
# Ours, or of one connection only (RFC 9110, 7.6.1), so never taken from a handler.
_DROPPED = frozenset(
    (
        b"connection",
        b"content-length",
        b"date",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-content-type-options",
    )
)
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_IN_VALUES = bytes((9, *range(0x20, 0x7F), *range(0x80, 0x100)))
"""What a header's value may hold (RFC 9110, 5.5)."""
_CONNECTION_LENGTH = len(b"connection")
_status_lines: dict[int, bytes] = {}
_MAX_NAMES, _MAX_NAME = 256, 64
_names: dict[bytes, tuple[bytes, bytes]] = {}
"""Names of header fields that were found to be tokens, each in lower case and as a line begins."""


class InvalidResponseError(CasemateError):
    """The handler's response cannot be sent."""


def date_line() -> bytes:
    """Return the Date header line of this moment."""
    return b"date: " + formatdate(usegmt=True).encode() + b"\r\n"


def has_body(status: int) -> bool:
    """Tell whether a response of this status may have content (RFC 9110, 6.4.1)."""
    return status not in BODILESS


def _status_line(status: int) -> bytes:
    if type(status) is not int or not 200 <= status <= 599:
        raise InvalidResponseError(
            f"The response has status {status!r}, expected a number from 200 to 599.",
            next_step="Return a final status; 1xx responses are the server's own.",
        )
    line = f"HTTP/1.1 {status} {reason_phrase(status)}\r\nx-content-type-options: nosniff\r\n"
    return _status_lines.setdefault(status, line.encode())


def asks_to_close(response: HttpResponse) -> bool:
    """Tell whether the handler wants the connection closed."""
    if response.close:
        return True
    for name, value in response.headers:
        is_connection = len(name) == _CONNECTION_LENGTH and name.lower() == b"connection"
        if is_connection and b"close" in value.lower():
            return True
    return False


def _known_name(name: object, value: object) -> tuple[bytes, bytes]:
    """Return a name in lower case, and as its line begins. Raises InvalidResponseError."""
    if not isinstance(name, bytes) or not isinstance(value, bytes):
        raise InvalidResponseError(
            f"A response header is ({type(name).__name__}, {type(value).__name__}), "
            "expected (bytes, bytes)."
        )
    if _NAME.fullmatch(name) is None:
        raise InvalidResponseError("A response header name is not a token (RFC 9110, 5.6.2).")
    found = name.lower(), name + b": "
    if len(_names) < _MAX_NAMES and len(name) <= _MAX_NAME:
        _names[name] = found
    return found


def encode_head(response: HttpResponse, date: bytes, framing: bytes) -> bytes:
    """Return the head with its final empty line.

    `date` is a line of `date_line`; `framing` holds whole lines that say how the body ends and
    whether the connection stays. Raises InvalidResponseError for what could split a response.
    """
    status = response.status
    parts = [_status_lines.get(status) or _status_line(status), date]
    values: list[bytes] = []
    nominated: set[bytes] = set()
    try:
        for name, value in response.headers:
            known = _names.get(name) if type(name) is bytes else None
            if known is None or type(value) is not bytes:
                known = _known_name(name, value)
            values.append(value)
            lower, begin = known
            if lower not in _DROPPED:
                parts += (begin, value, b"\r\n")
            elif lower == b"connection":
                nominated |= {option.strip() for option in value.lower().split(b",")}
    except (TypeError, ValueError) as error:
        raise InvalidResponseError(
            "The response's headers are not pairs of bytes.",
            next_step="Return a tuple of (name, value) pairs, both bytes.",
        ) from error
    if b"".join(values).translate(None, _IN_VALUES):
        raise InvalidResponseError("A response header value holds control characters.")
    if nominated:
        nominated.add(b"connection")
        trimmed = tuple(h for h in response.headers if h[0].lower() not in nominated)
        return encode_head(HttpResponse(status, trimmed), date, framing)
    parts += (framing, b"\r\n")
    return b"".join(parts)
