"""Path templates of HTTP triggers, and which of them would answer the same requests."""

from __future__ import annotations

import re

from casemate.manifest.problem import quoted
from casemate.manifest.rejection import RejectedValueError
from casemate.model.route import RESERVED_SEGMENTS

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "*")
"""Methods of a route (RFC 9110, RFC 5789); `*` stands for all of them."""

MAX_TEMPLATE = 512
MAX_SEGMENTS = 32

_LITERAL = r"[A-Za-z0-9._~!$&'()*+,;=:@-]+"
"""Characters of a path segment (RFC 3986, `pchar`) without percent-encoding."""

_FOREIGN = r":[A-Za-z_][A-Za-z0-9_]*|\*{1,2}"
"""Parameters as other routers write them: by the letter they would fit no request that is meant."""

_PARAMETER = r"\{[A-Za-z_][A-Za-z0-9_]*\}"
_REST = r"\{[A-Za-z_][A-Za-z0-9_]*\.\.\.\}"

TEMPLATE_PATTERN = (
    r"^/(?!(?:.*/)?\.\.?(?:/|$))"
    rf"(?!(?:.*/)?(?:{_FOREIGN})(?:/|$))"
    rf"(?:(?:(?:{_LITERAL}|{_PARAMETER})/)*(?:{_LITERAL}|{_PARAMETER}|{_REST}))?$"
)

Shape = tuple[str, ...]
"""The segments of a template with names left out: `("users", "{}")`, `("files", "{...}")`."""


def parse_template(template: str) -> Shape:
    """Return the shape of a template, or raise RejectedValueError that says what is wrong."""
    if len(template) > MAX_TEMPLATE:
        raise RejectedValueError(
            f"a path of at most {MAX_TEMPLATE} characters", f"one of {len(template)}"
        )
    if not template.startswith("/"):
        raise RejectedValueError('a path that starts with "/"', quoted(template))
    if template == "/":
        return ()
    segments = template[1:].split("/")
    if len(segments) > MAX_SEGMENTS:
        raise RejectedValueError(
            f"a path of at most {MAX_SEGMENTS} segments", f"one of {len(segments)}"
        )
    names: set[str] = set()
    shape = tuple(
        _segment_shape(template, segment, names, is_last=index == len(segments) - 1)
        for index, segment in enumerate(segments)
    )
    if shape[0].lower() in RESERVED_SEGMENTS:
        reserved = ", ".join(f"/{name}" for name in RESERVED_SEGMENTS)
        raise RejectedValueError(
            f"a path outside of those the node answers itself: {reserved}", quoted(template)
        )
    return shape


class RouteTable:
    """The routes seen so far, to find two that would answer the same request."""

    def __init__(self) -> None:
        """Start without a route."""
        self._routes: dict[Shape, dict[str, str]] = {}

    def add(self, method: str, template: str, owner: str) -> str | None:
        """Add a valid route; return the owner of an earlier one with the same shape and method.

        `*` is the same as every method.
        """
        methods = self._routes.setdefault(parse_template(template), {})
        if method in methods:
            return methods[method]
        if "*" in methods:
            return methods["*"]
        if method == "*" and methods:
            return next(iter(methods.values()))
        methods[method] = owner
        return None


def _segment_shape(template: str, segment: str, names: set[str], *, is_last: bool) -> str:
    found = quoted(template)
    if not segment:
        where = "a trailing slash" if is_last else "an empty segment"
        raise RejectedValueError('a path without "//" and "/" at its end', f"{found} with {where}")
    if segment in (".", ".."):
        raise RejectedValueError('a path without "." and ".." segments', found)
    if re.fullmatch(_FOREIGN, segment):
        raise RejectedValueError(
            "a parameter as {name}, and all that is left as {rest...}",
            f"{found} with the segment {quoted(segment)}",
        )
    if re.fullmatch(_LITERAL, segment):
        return segment
    is_rest = re.fullmatch(_REST, segment) is not None
    if not is_rest and not re.fullmatch(_PARAMETER, segment):
        raise RejectedValueError(
            _segment_rule(segment), f"{found} with the segment {quoted(segment)}"
        )
    if is_rest and not is_last:
        raise RejectedValueError(f"{segment} only as the last segment", found)
    name = segment.strip("{}").removesuffix("...")
    if name in names:
        raise RejectedValueError(f"each parameter once, not {{{name}}} twice", found)
    names.add(name)
    return "{...}" if is_rest else "{}"


def _segment_rule(segment: str) -> str:
    if "%" in segment:
        return "a path as it is after decoding, without percent-encoding"
    if "?" in segment or "#" in segment:
        return "a path without a query or fragment"
    if "{" in segment or "}" in segment:
        return "a parameter that is a whole segment, as {name} or {rest...}"
    return "segments of ASCII letters, digits and -._~!$&'()*+,;=:@"
