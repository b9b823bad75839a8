"""Which paths and host names of a node are whose."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from casemate.model.function import NAME_PATTERN

RESERVED_SEGMENTS = (
    *(".well-known", "api", "dashboard", "health", "healthz", "hooks", "identity", "invoke"),
    *("metrics",),
)
"""First segments that the node answers itself, whatever their case, whoever the host is of."""
PREFIX_PATTERN = r"^/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]{1,128})?$"
"""A first segment, such as `/payments`; `/` alone is every path."""
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOST_PATTERN = rf"^(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL}){{0,31}}$"
"""A host name in lower case, without a port."""
MAX_CLAIMS = 64
"""Prefixes of one project, and host names of one."""
EVERYTHING = "/"


class RouteClaim(msgspec.Struct, frozen=True, kw_only=True):
    """What the node's owner gave to a project."""

    project: str
    prefixes: tuple[str, ...] = ()
    """First segments, such as `/payments`, that no other project can have a route below."""
    hosts: tuple[str, ...] = ()
    """Host names that are the project's alone. With one, its routes answer there and only there."""


def first_segment(template: str) -> str | None:
    """Return a template's first segment as a prefix, `/` for the root alone, None for any segment.

    A parameter and a rest take any segment, so that they overlap with every other route.
    """
    segment = template[1:].partition("/")[0]
    return None if segment.startswith("{") else f"/{segment}"


def is_reserved(template: str) -> bool:
    """Tell whether a route would answer for the node itself."""
    return template[1:].partition("/")[0].lower() in RESERVED_SEGMENTS


def host_of(header: bytes | None) -> str:
    """Return a Host header's name in lower case without its port and last dot; empty if none."""
    if header is None or len(header) > 512:
        return ""
    name = header.decode("latin-1").strip().lower()
    before, colon, port = name.rpartition(":")
    if colon and port.isascii() and port.isdigit():
        name = before
    return name.removesuffix(".")


def overlapping(one: str | None, two: str | None) -> bool:
    """Tell whether two first segments can be that of the same request."""
    return one is None or two is None or one == two


def claimed_by(claims: Iterable[RouteClaim], first: str | None) -> str | None:
    """Return the project that has a first segment, or (with None) any of them."""
    for claim in claims:
        for prefix in claim.prefixes:
            if first is None or prefix in (EVERYTHING, first):
                return claim.project
    return None


__all__ = [
    "EVERYTHING",
    "HOST_PATTERN",
    "MAX_CLAIMS",
    "NAME_PATTERN",
    "PREFIX_PATTERN",
    "RESERVED_SEGMENTS",
    "RouteClaim",
    "claimed_by",
    "first_segment",
    "host_of",
    "is_reserved",
    "overlapping",
]
