"""Turns an instance's answer, which is hostile until checked, into an HTTP response."""

from __future__ import annotations

import re
from urllib.parse import quote

import msgspec

from casemate.decoding import DECODING_ERRORS
from casemate.model.http import HttpResponse

_JSON_HEADERS = ((b"content-type", b"application/json"),)
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")
_VALUE = re.compile(rb"[\x20-\x7e\x80-\xff\t]*")
_ADDRESSES = frozenset((b"location", b"content-location"))
_OTHERS = re.compile(r"[^\x00-\x7f]+")
_MAX_HEADERS = 100
_MAX_HEADER_BYTES = 32 * 1024
_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"content-length",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"date",
        b"server",
        b"x-request-id",
    )
)
"""Headers that belong to the connection (RFC 9110, 7.6.1) or to the server, not to a function."""


class AnswerError(Exception):
    """The answer cannot be sent. The text is for the owner."""


class AnswerHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Head of an answer frame."""

    status: int = 200
    headers: list[tuple[str, str]] = []
    type: str = "application/json"


_decode = msgspec.json.Decoder(AnswerHead).decode


def response(head: bytes, body: bytes) -> HttpResponse:
    """Return the response that an answer frame describes. Raises AnswerError."""
    if head == b"{}":
        return HttpResponse(200, _JSON_HEADERS, body)
    try:
        answer = _decode(head)
    except DECODING_ERRORS as error:
        raise AnswerError(f"the answer's head is malformed: {error}") from error
    if not 200 <= answer.status <= 599:
        raise AnswerError(f"status {answer.status} is not from 200 to 599")
    if not answer.headers:
        if answer.status == 200:
            return HttpResponse(200, _headers([("content-type", answer.type)]), body)
        return HttpResponse(answer.status, (), body)
    return HttpResponse(answer.status, _headers(answer.headers), body)


def _headers(given: list[tuple[str, str]]) -> tuple[tuple[bytes, bytes], ...]:
    if len(given) > _MAX_HEADERS:
        raise AnswerError(f"{len(given)} headers; at most {_MAX_HEADERS} are sent")
    headers = []
    size = 0
    for name, value in given:
        try:
            encoded = name.encode("ascii").lower()
        except UnicodeEncodeError as error:
            raise AnswerError(f"header name {name!r} is not ASCII") from error
        if not _TOKEN.fullmatch(encoded):
            raise AnswerError(f"header name {name!r} is not a token (RFC 9110)")
        size += len(encoded) + len(value)
        _require_sent(size)  # before what would be encoded
        if encoded in _HOP_BY_HOP:
            continue
        sent = _value(name, _uri(value) if encoded in _ADDRESSES else value)
        size += len(sent) - len(value)
        headers.append((encoded, sent))
    _require_sent(size)
    return tuple(headers)


def _require_sent(size: int) -> None:
    if size > _MAX_HEADER_BYTES:
        raise AnswerError(f"{size} bytes of headers; at most {_MAX_HEADER_BYTES} are sent")


def _uri(value: str) -> str:
    """Return the URI of an IRI (RFC 3987, 3.1): what is not ASCII in UTF-8, percent-encoded."""
    return _OTHERS.sub(lambda found: quote(found[0], safe="", errors="replace"), value)


def _value(name: str, value: str) -> bytes:
    try:
        encoded = value.encode("latin-1")
    except UnicodeEncodeError as error:
        raise AnswerError(
            f"header {name!r} holds characters outside ISO 8859-1; percent-encode them: "
            "urllib.parse.quote(text)"
        ) from error
    if not _VALUE.fullmatch(encoded):
        raise AnswerError(f"header {name!r} holds control characters")
    return encoded
