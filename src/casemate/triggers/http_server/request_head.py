"""Request heads: from bytes that end in an empty line to a checked `HttpHead`.

llhttp (strict, all leniencies off) parses the header lines. A parser is made for each head and
never sees a body, so no state survives from one request to the next. The request line is matched
here, because llhttp also accepts RTSP, HTTP/0.9 and repeated spaces.

The result depends on the bytes alone, never on how they arrived: `check_partial` refuses an
unfinished head only with what `parse_head` would say of any continuation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import httptools
import msgspec

from casemate.model.errors import CasemateError
from casemate.model.http import SERVER_PATH, UNKNOWN_LIMIT, HttpHead
from casemate.triggers.http_server.limits import HttpLimits
from casemate.triggers.http_server.target import InvalidTargetError, is_authority, split_target

CHUNKED = -1
"""`RequestHead.length` of a body whose length is not known before its end."""
METHODS = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
}
_NAMES_OF_METHODS = frozenset(METHODS.values())
_REFUSED_METHODS = frozenset((b"TRACE", b"CONNECT"))
"""Known, and allowed for nothing: they show a request's fields to scripts, or make a tunnel."""
_LINE_OVERHEAD = 48
"""More than the longest method, version, spaces and line end of a request line."""
_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,24}) ([\x21-\x7e]+) HTTP/([0-9]\.[0-9])\r\n")
_METHOD_PREFIX = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,24}(?: |\Z)")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_LENGTH = re.compile(rb"[0-9]{1,18}")


class RequestRefusedError(CasemateError):
    """The request was refused by the HTTP server."""

    def __init__(self, status: int, detail: str) -> None:
        """Keep the status to answer with and a fixed text that quotes nothing."""
        self.status = status
        super().__init__(detail)


def too_large(limit: int) -> RequestRefusedError:
    """Return the refusal of a body with more than `limit` bytes.

    It does not say how many it had: all alike share one record.
    """
    detail = f"The request body is too large: at most {limit:,} bytes are taken here."
    if limit == UNKNOWN_LIMIT:
        detail += " Where nothing is, and without a valid token, no more is read."
    return RequestRefusedError(413, detail)


class RequestHead(msgspec.Struct, frozen=True):
    """A head and what the server itself reads from it."""

    head: HttpHead
    length: int
    """Bytes of the body, or CHUNKED."""
    keep_alive: bool
    http10: bool
    expects_continue: bool


class _Fields:
    """Callbacks of one llhttp parser."""

    __slots__ = ("complete", "headers")

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.complete = True


def find_end(buffer: bytes, scanned: int, limits: HttpLimits) -> int:
    """Return the length of the head at the start of `buffer`, 0 if it is not all there yet.

    `scanned` is how many bytes an earlier call has seen. Raises RequestRefusedError.
    """
    end = buffer.find(b"\r\n\r\n", max(0, scanned - 3)) + 4
    if 4 <= end <= limits.header_bytes:
        return end
    check_partial(buffer[: limits.header_bytes + 1], scanned, limits)
    return 0


def check_partial(buffer: bytes, scanned: int, limits: HttpLimits) -> None:
    """Refuse an unfinished head that no continuation can make valid (RequestRefusedError)."""
    _check_line_start(buffer, limits)
    bare = _BARE_LF.search(buffer, scanned)
    if bare is not None:
        parse_head(buffer[: bare.end()], "", limits)
        raise RequestRefusedError(400, "A line of the request head ends without CR.")
    if len(buffer) > limits.header_bytes:
        raise RequestRefusedError(431, "The request head is too large.")


def _check_line_start(buffer: bytes, limits: HttpLimits) -> None:
    if _METHOD_PREFIX.match(buffer) is None:
        raise RequestRefusedError(400, "The request does not start with a method.")
    longest = limits.target_bytes + _LINE_OVERHEAD
    if buffer.find(b"\n", 0, longest + 1) < 0 and len(buffer) > longest:
        raise RequestRefusedError(414, "The request target is too long.")


def parse_head(raw: bytes, peer: str, limits: HttpLimits) -> RequestHead:
    """Parse one head, its final empty line included. Raises RequestRefusedError.

    Source: RFC 9110, RFC 9112 (sections 3, 5, 6 and 11.2).
    """
    line = _LINE.match(raw)
    if line is None:
        _check_line_start(raw, limits)
        raise RequestRefusedError(400, "The request line is not valid.")
    method, target, version = line.groups()
    if len(target) > limits.target_bytes:
        raise RequestRefusedError(414, "The request target is too long.")
    if version not in (b"1.1", b"1.0"):
        raise RequestRefusedError(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
    name = METHODS.get(method)
    if method in _REFUSED_METHODS:
        raise RequestRefusedError(405, "This method is not allowed here.")
    if name is None:
        raise RequestRefusedError(501, "The method is not implemented.")
    try:
        path, query, authority = _split(name, target)
    except InvalidTargetError as error:
        raise RequestRefusedError(400, error.message) from error
    headers = _parse_fields(raw, limits)
    if authority is not None:
        # RFC 9112, 3.2.2: the authority of the target takes the place of Host.
        headers = [(n, authority if n == b"host" else v) for n, v in headers]
    http10 = version == b"1.0"
    if authority is not None and http10 and all(n != b"host" for n, _ in headers):
        headers.append((b"host", authority))  # HTTP/1.0 needs none, and has the same meaning
    framing = _read_framing(headers, http10)
    head = HttpHead(
        method=name,
        path=path.decode("ascii"),
        query=query.decode("ascii"),
        headers=tuple(headers),
        peer=peer,
    )
    return RequestHead(head, *framing)


_NOT_IN_NAMES = bytes(
    sorted({*range(256)} - {*b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"})
)
_NOT_IN_VALUES = bytes((*range(9), *range(10, 32), 127))


def is_parsed(head: HttpHead, limits: HttpLimits) -> bool:
    """Tell whether a head that was parsed elsewhere is one that `parse_head` may have returned.

    Of its peer nothing is said.
    """
    target = f"{head.path}?{head.query}" if head.query else head.path
    names = [name for name, _ in head.headers]
    values = b"".join([value for _, value in head.headers])
    together = b"".join(names)
    if (
        head.method not in _NAMES_OF_METHODS
        or not target.isascii()
        or len(target) > limits.target_bytes
        # One more than a client sends: the authority of a target.
        or len(names) > limits.header_count + 1
        or len(target) + len(together) + len(values) > limits.header_bytes
        or not all(names)
        or len(together.translate(None, _NOT_IN_NAMES)) != len(together)
        or len(values.translate(None, _NOT_IN_VALUES)) != len(values)
    ):
        return False
    try:
        path, query, authority = _split(head.method, target.encode("ascii"))
    except InvalidTargetError:
        return False
    same = (path.decode(), query.decode(), authority) == (head.path, head.query, None)
    return same and (_is_framed(head, http10=False) or _is_framed(head, http10=True))


def _split(method: str, target: bytes) -> tuple[bytes, bytes, bytes | None]:
    """Split a target; that of `OPTIONS *` is no URL and stays what it is. InvalidTargetError."""
    if method == "OPTIONS" and target == SERVER_PATH.encode():
        return target, b"", None
    return split_target(target)


def _is_framed(head: HttpHead, *, http10: bool) -> bool:
    try:
        _read_framing(head.headers, http10)
    except RequestRefusedError:
        return False
    return True


def _parse_fields(raw: bytes, limits: HttpLimits) -> list[tuple[bytes, bytes]]:
    fields = _Fields()
    try:
        httptools.HttpRequestParser(fields).feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # RFC 9110, 7.8: a server may ignore Upgrade
    except httptools.HttpParserError as error:
        # A coding llhttp cannot frame is reported after the head is complete.
        raise RequestRefusedError(400, "The request head is not valid.") from error
    if not fields.complete:
        raise RequestRefusedError(400, "The request head is not complete.")
    if len(fields.headers) > limits.header_count:
        raise RequestRefusedError(431, "The request has too many header fields.")
    return fields.headers


_SINGLE = frozenset((b"host", b"content-length", b"content-type", b"authorization"))
_READ = _SINGLE | {b"transfer-encoding", b"connection", b"expect"}


def _read_framing(
    headers: Iterable[tuple[bytes, bytes]], http10: bool
) -> tuple[int, bool, bool, bool]:
    """Return length, keep_alive, http10 and expects_continue."""
    seen: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _READ:
            if name not in seen:
                seen[name] = value
            elif name == b"connection":
                seen[name] += b"," + value
            else:
                raise RequestRefusedError(400, "A header field that must be single is repeated.")
    host = seen.get(b"host")
    if host is None:
        if not http10:
            raise RequestRefusedError(400, "The request has no Host header field.")
    elif not is_authority(host):
        raise RequestRefusedError(400, "The Host header field is not valid.")
    expects_continue = False
    if b"expect" in seen and not http10:
        if seen[b"expect"].lower() != b"100-continue":
            raise RequestRefusedError(417, "Only the expectation 100-continue can be met.")
        expects_continue = True
    return _body_length(seen, http10), _keep_alive(seen, http10), http10, expects_continue


def _body_length(seen: dict[bytes, bytes], http10: bool) -> int:
    coding = seen.get(b"transfer-encoding")
    length = seen.get(b"content-length")
    if coding is not None:
        if length is not None or http10 or coding.lower() != b"chunked":
            raise RequestRefusedError(400, "The framing of the body is not valid.")
        return CHUNKED
    if length is None:
        return 0
    if _LENGTH.fullmatch(length) is None:
        raise RequestRefusedError(400, "The Content-Length header field is not valid.")
    return int(length)


def _keep_alive(seen: dict[bytes, bytes], http10: bool) -> bool:
    connection = seen.get(b"connection")
    if connection is None:
        return not http10
    options = {option.strip(b" \t") for option in connection.lower().split(b",")}
    if b"close" in options:
        return False
    return not http10 or b"keep-alive" in options
