"""What a handler's result becomes: the head and body of an answer."""

from __future__ import annotations

import base64
from typing import Any

from . import event as events
from .json_codec import encode


class BadResultError(Exception):
    """The handler returned something that cannot be sent."""


def json_bytes(value: object) -> bytes:
    """Return the JSON of a handler's result. Raises BadResultError."""
    try:
        return encode(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadResultError(f"the handler's result is not JSON: {error}") from error


def _body(value: object) -> tuple[bytes, str]:
    """Return a response body as bytes with the content type it implies."""
    if value is None:
        return b"", ""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value), "application/octet-stream"
    if isinstance(value, str):
        try:
            return value.encode(), "text/plain; charset=utf-8"
        except UnicodeEncodeError as error:
            raise BadResultError(f"the body is not valid Unicode: {error}") from error
    return json_bytes(value), "application/json"


def _http_answer(result: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    unknown = set(result) - {"status", "headers", "body", "is_base64"}
    if unknown:
        raise BadResultError(
            f"unknown keys in the handler's response: {sorted(map(str, unknown))}; "
            "expected status, headers, body, is_base64"
        )
    status = result["status"]
    if type(status) is not int or not 200 <= status <= 599:
        raise BadResultError(f"status is {status!r}; expected a whole number from 200 to 599")
    headers: list[list[str]] = []
    given = result.get("headers") or {}
    if not isinstance(given, dict):
        raise BadResultError(f"headers is a {type(given).__name__}; expected a dict")
    for name, value in given.items():
        for one in value if isinstance(value, (list, tuple)) else (value,):
            headers.append([str(name), str(one)])
    body, implied = _body(result.get("body"))
    if result.get("is_base64"):
        try:
            body, implied = base64.b64decode(body, validate=True), "application/octet-stream"
        except ValueError as error:
            raise BadResultError(f"body is not base64: {error}") from error
    if implied and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(["content-type", implied])
    return {"status": status, "headers": headers}, body


_AWS_KEYS = frozenset(
    (
        *("statusCode", "statusDescription", "headers", "multiValueHeaders", "cookies"),
        *("body", "isBase64Encoded"),
    )
)


def _aws_answer(result: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Read an answer as Amazon API Gateway does (payload format 2.0, and what 1.0 has beside)."""
    unknown = set(result) - _AWS_KEYS
    if unknown:
        raise BadResultError(
            f"unknown keys in the handler's response: {sorted(map(str, unknown))}; "
            f"expected {', '.join(sorted(_AWS_KEYS))}"
        )
    status = result["statusCode"]
    if isinstance(status, str) and status.isascii() and status.isdigit():
        status = int(status[:4])
    headers: dict[str, Any] = {}
    for key in ("headers", "multiValueHeaders"):
        given = result.get(key) or {}
        if not isinstance(given, dict):
            raise BadResultError(f"{key} is a {type(given).__name__}; expected a dict")
        for name, value in given.items():
            shown = str(value).lower() if isinstance(value, bool) else value
            headers[str(name)] = shown
    cookies = result.get("cookies") or []
    if not isinstance(cookies, (list, tuple)):
        raise BadResultError(f"cookies is a {type(cookies).__name__}; expected a list")
    if cookies:
        name = next((name for name in headers if name.lower() == "set-cookie"), "set-cookie")
        before = headers.get(name, [])
        first = list(before) if isinstance(before, (list, tuple)) else [before]
        headers[name] = [*first, *cookies]
    body = result.get("body")
    if body is not None and not isinstance(body, str):
        body = json_bytes(body).decode()
    converted = {"status": status, "headers": headers, "body": body}
    return _http_answer({**converted, "is_base64": bool(result.get("isBase64Encoded"))})


def answer(
    result: object, *, http: bool, shape: str = events.PLAIN
) -> tuple[dict[str, Any], bytes]:
    """Return the head and body of the answer frame for a handler's result."""
    if http and shape == events.AWS and isinstance(result, dict) and "statusCode" in result:
        return _aws_answer(result)
    if http and isinstance(result, dict) and "status" in result:
        return _http_answer(result)
    if isinstance(result, (bytes, bytearray, memoryview)):
        return {"type": "application/octet-stream"}, bytes(result)
    return {}, json_bytes(result)
