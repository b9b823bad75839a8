"""Heads of HTTP/1 messages (RFC 9112), read strictly: what two parsers could take differently is
refused, never repaired.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from casemate.egress.errors import RequestRefusedError

Field = tuple[str, str]
"""Name as it came, and value; text is latin-1."""

_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}"
_REQUEST_LINE = re.compile(rf"({_NAME}) ([\x21-\x7e]+) HTTP/1\.([01])\Z")
_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?\Z")
_FIELD = re.compile(rf"({_NAME}):[\t ]*+([\t\x20-\x7e\x80-\xff]*)\Z")
_LENGTH = re.compile(r"[0-9]{1,18}\Z")
_MAX_FIELDS = 128
_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
    )
)
_NEVER_NAMED = frozenset(
    ("authorization", "content-length", "cookie", "host", "trailer", "transfer-encoding", "via")
)
"""Fields that a Connection field must not take away on the way (RFC 9110, section 7.6.1)."""
_NOT_IN_TRAILERS = _HOP_BY_HOP | _NEVER_NAMED | {"content-encoding", "content-type", "expect"}


class Fields:
    """The header fields of one message, in order."""

    def __init__(self, fields: tuple[Field, ...]) -> None:
        """Take parsed fields."""
        self.all = fields

    def values(self, name: str) -> list[str]:
        """Return the values of each field with a name, which is lower case."""
        return [value for field, value in self.all if field.lower() == name]

    def tokens(self, name: str) -> set[str]:
        """Return the members of a comma-separated field, in lower case."""
        members = ",".join(self.values(name)).split(",")
        return {member.strip().lower() for member in members} - {""}

    def end_to_end(self) -> list[Field]:
        """Return what is passed on. Raises RequestRefusedError for a Connection field that lies."""
        named = self.tokens("connection")
        if named & _NEVER_NAMED:
            raise RequestRefusedError("A Connection field names a field that must be passed on.")
        dropped = named | _HOP_BY_HOP
        return [field for field in self.all if field[0].lower() not in dropped]


@dataclass(frozen=True, slots=True)
class Body:
    """How long a message's body is."""

    length: int | None = 0
    """Bytes; None if it is in chunks or ends with the connection."""
    chunked: bool = False

    @property
    def until_close(self) -> bool:
        """Tell whether only the connection's end is the body's end."""
        return self.length is None and not self.chunked


NO_BODY = Body()
IN_CHUNKS = Body(None, chunked=True)
UNTIL_CLOSE = Body(None)


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request's head. `minor` is that of HTTP/1.x."""

    method: str
    target: str
    minor: int
    fields: Fields

    @property
    def body(self) -> Body:
        """Return the body's length. Raises RequestRefusedError if it is ambiguous."""
        return _declared_body(self.fields, self.minor) or NO_BODY


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """A response's head."""

    status: int
    reason: str
    minor: int
    fields: Fields

    def body(self, method: str) -> Body:
        """Return the body's length (RFC 9112, section 6.3). Raises RequestRefusedError."""
        declared = _declared_body(self.fields, self.minor)
        if method == "HEAD" or self.status < 200 or self.status in (204, 304):
            return NO_BODY
        return declared or UNTIL_CLOSE


def _declared_body(fields: Fields, minor: int) -> Body | None:
    codings, lengths = fields.values("transfer-encoding"), fields.values("content-length")
    if codings:
        if lengths or minor == 0 or len(codings) > 1 or codings[0].lower() != "chunked":
            raise RequestRefusedError("Transfer-Encoding is not `chunked` alone.")
        return IN_CHUNKS
    if not lengths:
        return None
    if len(lengths) > 1 or not _LENGTH.match(lengths[0]):
        raise RequestRefusedError("Content-Length is not one number.")
    return Body(int(lengths[0]))


def parse_fields(lines: list[str]) -> Fields:
    """Return header or trailer fields. Raises RequestRefusedError."""
    if len(lines) > _MAX_FIELDS:
        raise RequestRefusedError(f"There are over {_MAX_FIELDS} fields.", status=431)
    fields = []
    for line in lines:
        match = _FIELD.match(line)
        if match is None:
            raise RequestRefusedError("A header line is not `name: value` in one line.")
        fields.append((match[1], match[2].rstrip("\t ")))
    return Fields(tuple(fields))


def parse_trailers(lines: list[str]) -> Fields:
    """Return trailer fields; those that frame or route a message are refused."""
    fields = parse_fields(lines)
    if any(name.lower() in _NOT_IN_TRAILERS for name, _ in fields.all):
        raise RequestRefusedError("A trailer holds a field that belongs into the header.")
    return fields


def _lines(raw: bytes) -> list[str]:
    """Return the lines of a head that ends with an empty one; no line may hold CR, LF or NUL."""
    return raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")


def parse_request_head(raw: bytes) -> RequestHead:
    """Return the request head in `raw`, its empty line included. Raises RequestRefusedError."""
    first, *rest = _lines(raw)
    match = _REQUEST_LINE.match(first)
    if match is None:
        raise RequestRefusedError("The request line is not `METHOD target HTTP/1.1`.")
    return RequestHead(match[1], match[2], int(match[3]), parse_fields(rest))


def parse_response_head(raw: bytes) -> ResponseHead:
    """Return the response head in `raw`, its empty line included. Raises RequestRefusedError."""
    first, *rest = _lines(raw)
    match = _STATUS_LINE.match(first)
    if match is None:
        raise RequestRefusedError("The status line is not one of HTTP/1.1.")
    return ResponseHead(int(match[2]), match[3] or "", int(match[1]), parse_fields(rest))


def render(first: str, fields: list[Field]) -> bytes:
    """Return a head as bytes."""
    lines = [first, *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1")
