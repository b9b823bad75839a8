"""Strict reading of path parameters, queries and bodies. What is not expected is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import ClientDisconnect, Request

from casemate.api.problems import RequestError
from casemate.model.bundle import DIGEST_PATTERN
from casemate.model.function import NAME_PATTERN

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
"""Ids of invocations, errors and keys."""


def whole(pattern: str) -> str:
    """Return `pattern` so that its `$` is the end for every engine.

    Python's `$` also matches before a trailing line feed, that of JSON Schema (ECMA-262) does not.
    """
    return pattern.removesuffix("$") + r"(?!\n)$"


NUMBER_PATTERN = r"^[1-9][0-9]{0,14}$"
"""A version's number in a path."""
MAX_JSON_BYTES = 64 * 1024
MAX_QUERY_BYTES = 2048

MOMENT_PATTERN = r"^[0-9]{1,12}(\.[0-9]{1,6})?$"
"""A Unix time in seconds."""
_NUMBER = re.compile(r"[0-9]{1,18}")

T = TypeVar("T")
ChoiceT = TypeVar("ChoiceT", bound=StrEnum)
BodyT = TypeVar("BodyT", bound=msgspec.Struct)


def _refuse(message: str, next_step: str | None = None) -> RequestError:
    return RequestError(HTTPStatus.BAD_REQUEST, message, next_step=next_step)


def _matching(request: Request, parameter: str, pattern: str) -> str:
    value = str(request.path_params[parameter])
    if re.fullmatch(pattern, value) is None:
        raise _refuse(
            f"The path's {parameter} is {value[:80]!r}, expected text that matches {pattern}."
        )
    return value


def path_name(request: Request, parameter: str) -> str:
    """Return a path parameter that is a project's, function's or alias's name."""
    return _matching(request, parameter, NAME_PATTERN)


def path_matching(request: Request, parameter: str, pattern: str) -> str:
    """Return a path parameter that matches a pattern as a whole."""
    return _matching(request, parameter, pattern)


def path_digest(request: Request) -> str:
    """Return the path parameter `digest`."""
    return _matching(request, "digest", DIGEST_PATTERN)


def path_id(request: Request) -> str:
    """Return the path parameter `id`."""
    return _matching(request, "id", ID_PATTERN)


def path_number(request: Request, parameter: str) -> int:
    """Return a path parameter that is a version's number."""
    return int(_matching(request, parameter, NUMBER_PATTERN))


class Query:
    """The query of a request. Each parameter is read once; what stays unread is refused."""

    max_bytes = MAX_QUERY_BYTES

    def __init__(self, request: Request) -> None:
        """Parse the query string; repeated parameters and broken encodings are refused."""
        raw = request.scope.get("query_string", b"")
        if len(raw) > self.max_bytes:
            raise RequestError(
                HTTPStatus.REQUEST_URI_TOO_LONG,
                f"The query has {len(raw)} bytes, expected at most {self.max_bytes}.",
            )
        try:
            pairs = parse_qsl(
                raw.decode("ascii"),
                keep_blank_values=True,
                strict_parsing=bool(raw),
                errors="strict",
            )
        except ValueError as error:
            raise _refuse("The query string is not `name=value` pairs in UTF-8.") from error
        self._values: dict[str, str] = dict(pairs)
        if len(self._values) != len(pairs):
            raise _refuse("A parameter of the query is given more than once.")

    def _take(self, name: str, pattern: str, convert: Callable[[str], T], default: T) -> T:
        value = self._values.pop(name, None)
        if value is None:
            return default
        if re.fullmatch(pattern, value) is None:
            raise _refuse(
                f"The query's {name} is {value[:80]!r}, expected text that matches {pattern}."
            )
        return convert(value)

    def text(self, name: str) -> str | None:
        """Take a text as it is; whoever uses it checks it."""
        return self._values.pop(name, None)

    def name(self, name: str) -> str | None:
        """Take a project's or function's name."""
        return self._take(name, NAME_PATTERN, lambda value: value, None)

    def id(self, name: str) -> str | None:
        """Take an id."""
        return self._take(name, ID_PATTERN, lambda value: value, None)

    def flag(self, name: str) -> bool:
        """Take `true` or `false` (the default)."""
        return self._take(name, "true|false", lambda value: value == "true", False)

    def number(self, name: str, *, default: int, minimum: int, maximum: int) -> int:
        """Take a whole number between `minimum` and `maximum`, both included."""
        value = self._take(name, _NUMBER.pattern, int, default)
        if not minimum <= value <= maximum:
            raise _refuse(f"The query's {name} is {value}, expected {minimum} to {maximum}.")
        return value

    def moment(self, name: str) -> float | None:
        """Take a Unix time in seconds."""
        return self._take(name, MOMENT_PATTERN, float, None)

    def choice(self, name: str, kind: type[ChoiceT]) -> ChoiceT | None:
        """Take one of the values of an enumeration."""
        return self._take(name, "|".join(map(re.escape, kind)), kind, None)

    def words(self, name: str, most: int) -> str | None:
        """Take 1 to `most` characters, none of them a control character."""
        return self._take(name, rf"[^\x00-\x1f\x7f]{{1,{most}}}", lambda value: value, None)

    def end(self) -> None:
        """Refuse the request if a parameter was not taken."""
        if self._values:
            unknown = ", ".join(sorted(name[:40] for name in self._values))
            raise _refuse(
                f"The query has unknown parameters: {unknown}.",
                "See GET /api/v1/openapi.json for those that exist.",
            )


def require_media_type(request: Request, expected: str) -> None:
    """Refuse a body that is not of the media type `expected`, or that is compressed (415)."""
    values = request.headers.getlist("content-type")
    given = values[0].partition(";")[0].strip().lower() if len(values) == 1 else None
    if given != expected:
        raise RequestError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"The Content-Type is {', '.join(values)[:80] or 'missing'}, expected {expected}.",
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body has a Content-Encoding, expected none."
        )


def declared_length(request: Request, maximum: int) -> None:
    """Refuse a body that says it is longer than `maximum` bytes before reading any of it."""
    declared = request.headers.get("content-length")
    if declared is not None and (_NUMBER.fullmatch(declared) is None or int(declared) > maximum):
        raise too_large(maximum)


def too_large(maximum: int) -> RequestError:
    """Return the error for a body of more than `maximum` bytes."""
    return RequestError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is longer than {maximum} bytes."
    )


async def _read(request: Request, maximum: int) -> bytes:
    declared_length(request, maximum)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > maximum:
                raise too_large(maximum)
    except ClientDisconnect as error:
        raise _refuse("The body ended before it was complete.") from error
    return bytes(body)


async def json_body(
    request: Request,
    kind: type[BodyT],
    *,
    default: BodyT | None = None,
    most: int = MAX_JSON_BYTES,
) -> BodyT:
    """Return the JSON body (`most` bytes) as `kind`, whose unknown fields are refused.

    An empty body without a type gives `default` where there is one.
    """
    untyped = default is not None and "content-type" not in request.headers
    if default is not None and untyped and await _read(request, MAX_JSON_BYTES) == b"":
        return default
    require_media_type(request, "application/json")
    body = await _read(request, most)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _refuse(
            f"The body is not what is expected: {error}",
            "See GET /api/v1/openapi.json for the fields of this body.",
        ) from error
