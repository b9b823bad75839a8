"""Request targets (RFC 9112, section 3.2): what is accepted, split into path and query.

Stricter than the RFC where leniency only serves attacks: no dot segments (encoded or not), no
encoded control characters in a path, and a path must decode to UTF-8.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from casemate.model.errors import InvalidInputError

# Visible ASCII but the delimiters `"#<>\^{}` and the backtick; `?` ends a path.
_PATH = rb"(?:[!$&'()*+,\-./0-9:;=@A-Z\[\]_a-z|~]++|%[0-9A-Fa-f]{2})*+"
_QUERY = rb"(?:[!$&'()*+,\-./0-9:;=?@A-Z\[\\\]^_`a-z{|}~]++|%[0-9A-Fa-f]{2})*+"
_ORIGIN = re.compile(rb"(/" + _PATH + rb")(?:\?(" + _QUERY + rb"))?")
_ABSOLUTE = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?#]*+)(/?[^#]*+)")
_SEPARATOR = rb"(?:/|%2[Ff]|%5[Cc])"
_HOSTILE_PATH = re.compile(
    _SEPARATOR + rb"(?:\.|%2[Ee]){1,2}(?:" + _SEPARATOR + rb"|$)|%(?:[01][0-9A-Fa-f]|7[Ff])"
)
_AUTHORITY = re.compile(
    rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=]+|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
)


class InvalidTargetError(InvalidInputError):
    """The request target is not valid."""


def is_authority(value: bytes) -> bool:
    """Tell whether `value` is a host with an optional port (RFC 3986, without user info)."""
    return _AUTHORITY.fullmatch(value) is not None


def split_target(target: bytes) -> tuple[bytes, bytes, bytes | None]:
    """Return path, query and, for the absolute form, the authority.

    Both are still percent-encoded. Raises InvalidTargetError, whose text quotes nothing of it.
    """
    authority = None
    match = _ORIGIN.fullmatch(target)
    if match is None:
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None:
            raise InvalidTargetError("The request target is neither a valid path nor URL.")
        authority, rest = absolute.groups()
        if not is_authority(authority):
            raise InvalidTargetError("The authority of the request target is not valid.")
        match = _ORIGIN.fullmatch(rest if rest[:1] == b"/" else b"/" + rest)
        if match is None:
            raise InvalidTargetError("The request target is not a valid URL.")
    path, query = match.groups()
    if b"." in path or b"%" in path:
        _check_path(path)
    return path, query or b"", authority


def _check_path(path: bytes) -> None:
    if _HOSTILE_PATH.search(path) is not None:
        raise InvalidTargetError("The path holds dot segments or encoded control characters.")
    if b"%" in path:
        try:
            unquote_to_bytes(path).decode()
        except UnicodeDecodeError as error:
            raise InvalidTargetError("The path does not decode to UTF-8.") from error
