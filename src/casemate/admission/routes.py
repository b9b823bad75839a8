"""Routes of HTTP triggers: from method and path to a function.

A literal segment wins over a parameter, a parameter over `{rest...}`; a method over `*`. Paths
are split before they are decoded, so that an encoded slash never makes a segment; what decodes
to `.`, `..`, a slash or a control character, or is no percent-encoding, matches nothing.
"""

from __future__ import annotations

import re
from functools import partial
from urllib.parse import unquote_to_bytes

import msgspec

_MAX_SEGMENTS = 64
_MALFORMED = re.compile("%(?![0-9A-Fa-f]{2})")


class Route(msgspec.Struct, frozen=True):
    """One declared route of one function."""

    method: str
    template: str
    project: str
    function: str
    asynchronous: bool = False
    """True answers once the event is kept."""


class Match(msgspec.Struct, frozen=True):
    """A route that fits, with its parameters decoded."""

    route: Route
    parameters: dict[str, str]


class _Node:
    __slots__ = ("literals", "parameter", "rest", "routes")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.rest: dict[str, tuple[Route, tuple[str, ...]]] = {}
        self.routes: dict[str, tuple[Route, tuple[str, ...]]] = {}


def _decode(segment: str) -> str | None:
    """Return a path segment decoded, None if it is one that no honest client sends."""
    if "%" not in segment:
        decoded = segment
    elif _MALFORMED.search(segment) is not None:
        return None
    else:
        try:
            decoded = unquote_to_bytes(segment).decode()
        except UnicodeDecodeError:
            return None
    if decoded in (".", "..") or "/" in decoded or "\\" in decoded:
        return None
    if any(ord(c) < 32 or ord(c) == 127 for c in decoded):
        return None
    return decoded


class Routes:
    """All routes of a node, as a tree of segments."""

    def __init__(self) -> None:
        """Start without a route."""
        self._root = _Node()
        self.all: list[Route] = []

    def add(self, route: Route) -> Route | None:
        """Add a route; return the one that already has this method and shape instead, if any."""
        target, names = self._place(route.template)
        present = target.get(route.method)
        if present is not None:
            return present[0]
        target[route.method] = (route, names)
        self.all.append(route)
        return None

    def rivals(self, route: Route) -> list[Route]:
        """Return the routes of the same shape that take a method of this one; `*` takes all."""
        target, _ = self._place(route.template)
        return [
            other
            for method, (other, _) in target.items()
            if "*" in (method, route.method) or method == route.method
        ]

    def _place(
        self, template: str
    ) -> tuple[dict[str, tuple[Route, tuple[str, ...]]], tuple[str, ...]]:
        """Return where the routes of a template's shape are kept by method, and its names."""
        node = self._root
        names: list[str] = []
        for segment in (s for s in template.split("/") if s):
            if segment.startswith("{") and segment.endswith("...}"):
                return node.rest, (*names, segment[1:-4])
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, _Node())
        return node.routes, tuple(names)

    def match(self, method: str, path: str) -> Match | frozenset[str] | None:
        """Return the match; the methods allowed if only the method does not fit; else None."""
        if not path.startswith("/"):
            return None
        raw = path.split("/")[1:]
        if raw == [""]:
            raw = []
        if len(raw) > _MAX_SEGMENTS:
            return None
        segments = []
        for segment in raw:
            decoded = _decode(segment)
            if decoded is None or decoded == "":
                return None
            segments.append(decoded)
        allowed: set[str] = set()
        found = self._walk(self._root, segments, 0, [], method=method, allowed=allowed)
        if found is None:
            return frozenset(allowed) if allowed else None
        return found

    def _walk(
        self,
        node: _Node,
        segments: list[str],
        index: int,
        values: list[str],
        *,
        method: str,
        allowed: set[str],
    ) -> Match | None:
        again = partial(
            self._walk, segments=segments, index=index + 1, method=method, allowed=allowed
        )
        if index == len(segments):
            return self._pick(node.routes, values, method, allowed)
        segment = segments[index]
        child = node.literals.get(segment)
        if child is not None:
            found = again(child, values=values)
            if found is not None:
                return found
        if node.parameter is not None:
            found = again(node.parameter, values=[*values, segment])
            if found is not None:
                return found
        return self._pick(node.rest, [*values, "/".join(segments[index:])], method, allowed)

    @staticmethod
    def _pick(
        routes: dict[str, tuple[Route, tuple[str, ...]]],
        values: list[str],
        method: str,
        allowed: set[str],
    ) -> Match | None:
        entry = routes.get(method) or routes.get("*")
        if entry is None and method == "HEAD":
            entry = routes.get("GET")  # RFC 9110, section 9.3.2: the same, without the content
        if entry is None:
            allowed.update(routes)
            return None
        route, names = entry
        return Match(route, dict(zip(names, values, strict=True)))
